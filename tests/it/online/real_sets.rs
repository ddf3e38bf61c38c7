//! Sets of packages as people have them, each used for real with nothing of the host (`exec --pure`). They take gigabytes, so they belong to the full suite.
//!
//! Not among them: torch, whose newest wheels on an index bring three gigabytes for a graphics processor.

use std::process::Command;

use crate::support::{Scratch, contains, in_store, ok, shared_store};

/// A set, and what is done with it.
struct Set<'a> {
    requirements: &'a str,
    /// Tables of library toolchains, which the set names.
    libraries: &'a [(&'a str, &'a [&'a str])],
    /// Debian packages of programs that the commands start.
    programs: &'a [&'a str],
    files: &'a [(&'a str, &'a str)],
    /// Commands, each with a text that it prints.
    steps: &'a [(&'a [&'a str], &'a str)],
}

fn check(set: &Set) {
    let scratch = Scratch::new();
    let project = scratch.join("project");
    std::fs::create_dir_all(&project).unwrap();
    let names: Vec<&str> = set.libraries.iter().map(|(name, _)| *name).collect();
    let mut manifest = format!(
        "platforms = [\"x86_64-linux\"]\n\n[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\", \"python3.11-venv\", \"ca-certificates\", \"tzdata\", \"libstdc++6\"]\n\n[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.13.8\"\n\n[requirements.app]\ninputs = [\"requirements.in\"]\nlibraries = {names:?}\n"
    );
    for (name, packages) in set.libraries {
        manifest += &format!(
            "\n[toolchains.{name}]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = {packages:?}\n"
        );
    }
    if !set.programs.is_empty() {
        manifest += &format!(
            "\n[toolchains.programs]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = {:?}\n",
            set.programs
        );
    }
    let write = |name: &str, text: &str| std::fs::write(project.join(name), text).unwrap();
    write("toolchains.toml", &manifest);
    write("requirements.in", set.requirements);
    set.files.iter().for_each(|(name, text)| write(name, text));
    let store = shared_store();
    ok(&mut in_store(store, &project, &["setup"]));
    for (command, printed) in set.steps {
        let mut run = in_store(store, &project, &[&["exec", "--pure", "--"][..], command].concat());
        run.env("HOME", scratch.path()).env("AIRFLOW_HOME", scratch.join("airflow"));
        let output = run.output().unwrap();
        let said = crate::support::text(&output);
        assert!(output.status.success(), "{command:?}: {said}");
        contains(&said, &[printed]);
    }
    // The packages are found in an environment, too.
    ok(&mut in_store(store, &project, &["venv"]));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let named: Vec<&str> =
        set.requirements.lines().filter_map(|line| line.split(|c| !is_name(c)).next()).collect();
    let ask = format!("import importlib.metadata as m\nfor n in {named:?}: print(n, m.version(n))");
    let mut python = Command::new(project.join(".venv/bin/python"));
    let said = ok(python.env_clear().args(["-c", &ask]));
    assert_eq!(said.lines().count(), named.len(), "{said}");
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn ansible_runs_a_playbook() {
    check(&Set {
        requirements: "ansible\n",
        libraries: &[],
        programs: &["coreutils", "dash"],
        files: &[(
            "play.yml",
            "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - copy:\n        content: \"{{ 6 * 7 }}\"\n        dest: \"{{ playbook_dir }}/answer\"\n    - debug:\n        msg: \"answer {{ lookup('file', playbook_dir + '/answer') }}\"\n",
        )],
        steps: &[(
            &[
                "ansible-playbook",
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                "ansible_python_interpreter={{ ansible_playbook_python }}",
                "play.yml",
            ],
            "answer 42",
        )],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn airflow_makes_its_database() {
    check(&Set {
        requirements: "apache-airflow\n",
        libraries: &[],
        programs: &[],
        files: &[],
        steps: &[
            (&["airflow", "db", "migrate"], "igrat"),
            (
                &[
                    "python3",
                    "-c",
                    "import os, sqlite3\nd = sqlite3.connect(os.environ['AIRFLOW_HOME'] + '/airflow.db')\nprint('tables', d.execute(\"select count(*) from sqlite_master where name = 'dag'\").fetchone())",
                ],
                "tables (1,)",
            ),
        ],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn jupyter_runs_a_notebook() {
    check(&Set {
        requirements: "jupyterlab\nnbconvert\nipykernel\n",
        libraries: &[],
        programs: &[],
        files: &[(
            "x.ipynb",
            r#"{"cells":[{"cell_type":"code","execution_count":null,"id":"a","metadata":{},"outputs":[],"source":["print(6*7)"]}],"metadata":{"kernelspec":{"name":"python3","display_name":"Python 3","language":"python"}},"nbformat":4,"nbformat_minor":5}"#,
        )],
        steps: &[
            (
                &[
                    "python3",
                    "-c",
                    "import importlib.metadata as m, subprocess as s\nprint('same', s.check_output(['jupyter', 'lab', '--version'], text=True).strip() == m.version('jupyterlab'))",
                ],
                "same True",
            ),
            (
                &["jupyter", "nbconvert", "--to", "notebook", "--execute", "--stdout", "x.ipynb"],
                "42",
            ),
        ],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn tensorflow_multiplies() {
    check(&Set {
        requirements: "tensorflow-cpu\n",
        libraries: &[],
        programs: &[],
        files: &[],
        steps: &[(
            &[
                "python3",
                "-c",
                "import tensorflow as t; print('sum', float(t.reduce_sum(t.matmul([[2., 3.]], [[4.], [5.]]))))",
            ],
            "sum 23.0",
        )],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn opencv_reads_what_it_wrote() {
    check(&Set {
        requirements: "opencv-python\n",
        libraries: &[("gl", &["libgl1", "libglib2.0-0"])],
        programs: &[],
        files: &[],
        steps: &[(
            &[
                "python3",
                "-c",
                "import cv2, numpy; cv2.imwrite('x.png', numpy.full((4, 5, 3), 7, 'uint8')); print(cv2.imread('x.png').sum())",
            ],
            "420",
        )],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn qt_draws_a_widget() {
    check(&Set {
        requirements: "PyQt6\nPySide6-Essentials\n",
        libraries: &[(
            "desktop",
            &[
                "libgl1",
                "libegl1",
                "libxkbcommon0",
                "libdbus-1-3",
                "libfontconfig1",
                "libglib2.0-0",
                "fonts-dejavu-core",
            ],
        )],
        programs: &[],
        files: &[(
            "draw.py",
            "import os, sys\nos.environ['QT_QPA_PLATFORM'] = 'offscreen'\nname = sys.argv[1]\nwidgets = __import__(name + '.QtWidgets', fromlist=['x'])\napp = widgets.QApplication([])\nlabel = widgets.QLabel('hello')\nlabel.resize(200, 60)\nimage = label.grab().toImage()\ncolors = {image.pixel(x, y) for x in range(200) for y in range(60)}\nprint(name, 'drew', len(colors) > 5)\n",
        )],
        steps: &[
            (&["python3", "draw.py", "PyQt6"], "PyQt6 drew True"),
            (&["python3", "draw.py", "PySide6"], "PySide6 drew True"),
        ],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn the_scientific_packages_compute_and_draw() {
    check(&Set {
        requirements: "numpy\nscipy\npandas\nmatplotlib\n",
        libraries: &[],
        programs: &[],
        files: &[(
            "s.py",
            "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as p, numpy as n, pandas as d, scipy.linalg as l\nprint('det', round(l.det(n.array([[1., 2.], [3., 4.]])), 6))\nd.Series([1, 4, 9], index=d.date_range('2026-01-01', periods=3, tz='Europe/Berlin')).plot()\np.savefig('x.png')\nprint('magic', open('x.png', 'rb').read(4))\n",
        )],
        steps: &[(&["python3", "s.py"], "det -2.0\nmagic b'\\x89PNG'")],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn a_server_and_a_client_of_grpc_talk() {
    check(&Set {
        requirements: "grpcio\ngrpcio-tools\n",
        libraries: &[],
        programs: &[],
        files: &[
            (
                "x.proto",
                "syntax = \"proto3\";\nmessage N { int32 n = 1; }\nservice S { rpc Twice(N) returns (N); }\n",
            ),
            (
                "t.py",
                "import concurrent.futures as c, grpc, x_pb2, x_pb2_grpc\nclass S(x_pb2_grpc.SServicer):\n    def Twice(self, r, _):\n        return x_pb2.N(n=2 * r.n)\ns = grpc.server(c.ThreadPoolExecutor())\nx_pb2_grpc.add_SServicer_to_server(S(), s)\nport = s.add_insecure_port('127.0.0.1:0')\ns.start()\nwith grpc.insecure_channel(f'127.0.0.1:{port}') as ch:\n    print('got', x_pb2_grpc.SStub(ch).Twice(x_pb2.N(n=21), timeout=20).n)\ns.stop(0)\n",
            ),
        ],
        steps: &[
            (
                &[
                    "python3",
                    "-m",
                    "grpc_tools.protoc",
                    "-I.",
                    "--python_out=.",
                    "--grpc_python_out=.",
                    "x.proto",
                ],
                "",
            ),
            (&["python3", "t.py"], "got 42"),
        ],
    });
}

#[test]
#[ignore = "full suite: hundreds of megabytes of wheels"]
fn django_and_celery_know_time_zones() {
    check(&Set {
        requirements: "django\ncelery\npsycopg[binary]\nlxml\npillow\ncryptography\npydantic\nuvloop\n",
        libraries: &[],
        programs: &[],
        files: &[(
            "t.py",
            "import celery, cryptography.fernet as f, lxml.etree as e, psycopg, pydantic, uvloop, PIL.Image\nfrom django.conf import settings\nsettings.configure(USE_TZ=True, TIME_ZONE='Asia/Kathmandu')\nfrom django.utils import timezone\nprint('offset', timezone.localtime().utcoffset())\napp = celery.Celery('x', broker='memory://')\napp.conf.update(timezone='Europe/Berlin', task_always_eager=True)\n@app.task\ndef add(a, b):\n    return a + b\nprint('sum', add.delay(2, 3).get(), app.timezone)\nk = f.Fernet(f.Fernet.generate_key())\nprint(k.decrypt(k.encrypt(b'secret')), e.fromstring('<a>b</a>').text, psycopg.pq.version() > 0)\n",
        )],
        steps: &[
            (&["python3", "t.py"], "offset 5:45:00\nsum 5 Europe/Berlin\nb'secret' b True"),
            (&["django-admin", "startproject", "site1"], ""),
            (&["python3", "site1/manage.py", "migrate"], "Applying auth.0001_initial... OK"),
        ],
    });
}
