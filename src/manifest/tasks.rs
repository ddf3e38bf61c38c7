//! The table `[tasks]`: commands of the project that `cotter run` starts by name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fields, Problems, Spanned, environment_fault};
use crate::error::Place;

/// One entry of `[tasks]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectTask {
    /// The command and its arguments. It is empty if the task only has dependencies.
    pub command: Vec<String>,
    /// The environment variables that are set for it.
    pub env: BTreeMap<String, String>,
    /// The tasks that must succeed before it.
    pub depends_on: Vec<Spanned<String>>,
    /// The place where it begins.
    pub place: Place,
}

/// Returns the first part of a command that a shell would not pass on as it is, if there is one: an operator, an expansion, a pattern of
/// files or an assignment before the command. Quotation marks and backslashes take the meaning from all of them but `$` and the backtick,
/// which keep it within double quotes. Source: POSIX.1-2017, "Shell Command Language", sections 2.2, 2.6 and 2.9.1.
fn meant_for_a_shell(text: &str) -> Option<&str> {
    let (mut quote, mut escaped, mut in_word) = (None, false, false);
    for (at, c) in text.char_indices() {
        let begins = !in_word;
        in_word = quote.is_some() || !c.is_whitespace();
        if std::mem::take(&mut escaped) {
            continue;
        }
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => escaped = true,
            (_, '$' | '`') => return Some(&text[at..=at]),
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[') => {
                return Some(&text[at..=at]);
            }
            (None, '~' | '#') if begins => return Some(&text[at..=at]),
            (None, '{') => {
                let inside = text[at + 1..].split_once('}').map_or("", |(inside, _)| inside);
                if inside.contains(',') || inside.contains("..") {
                    return Some(&text[at..at + inside.len() + 2]);
                }
            }
            (None, _) => {}
        }
    }
    let (name, _) = text.split_whitespace().next()?.split_once('=')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && !name.is_empty()).then_some(name)
}

/// The greatest number of cycles that are told.
const MOST_CYCLES: usize = 10;

/// Takes the table `[tasks]`.
pub fn read(root: &mut Fields, problems: &mut Problems) -> BTreeMap<String, ProjectTask> {
    let mut out = BTreeMap::new();
    let Some(mut table) = root.table("tasks", problems) else { return out };
    for name in table.keys() {
        let span = table.key_span(&name);
        let place = problems.place(span.start);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
            problems.add(
                span.clone(),
                format!(
                    "expected a name of letters, digits, -, _, . and : for a task, got {name:?}"
                ),
            );
        }
        let value = table.value_span(&name);
        let before = problems.count();
        let task = if table.is_table(&name) {
            let Some(mut fields) = table.table(&name, problems) else { continue };
            let task = ProjectTask {
                command: command(&mut fields, "command", problems),
                env: variables(&mut fields, problems),
                depends_on: fields.string_list("depends-on", problems).unwrap_or_default(),
                place,
            };
            fields.finish(problems);
            task
        } else {
            let command = command(&mut table, &name, problems);
            ProjectTask { command, env: BTreeMap::new(), depends_on: vec![], place }
        };
        if task.command.is_empty() && task.depends_on.is_empty() && problems.count() == before {
            problems.add(
                value,
                format!("the task {name:?} has nothing to do: give it a command, or `depends-on`"),
            );
        }
        out.insert(name, task);
    }
    check(&out, problems);
    out
}

/// Takes the environment variables of a task.
fn variables(fields: &mut Fields, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(mut table) = fields.table("env", problems) else { return out };
    for name in table.keys() {
        let span = table.key_span(&name);
        let Some(value) = table.string(&name, problems) else { continue };
        if name == "PATH" {
            problems.add(span, "a task can't set PATH: the toolchains stand on it");
        } else if let Some(why) = environment_fault(&name, &value.value) {
            problems.add(span, why);
        } else {
            out.insert(name, value.value);
        }
    }
    out
}

/// Takes a command: an array of words, or a string that is split into words.
fn command(fields: &mut Fields, key: &str, problems: &mut Problems) -> Vec<String> {
    let is_text = fields.is_string(key);
    let Some(list) = fields.string_list(key, problems) else { return vec![] };
    if !is_text {
        return list.into_iter().map(|word| word.value).collect();
    }
    let Some(text) = list.into_iter().next() else { return vec![] };
    let Some(words) = shlex::split(&text.value) else {
        problems.add(text.span, format!("a quotation mark is not closed in {:?}", text.value));
        return vec![];
    };
    if let Some(part) = meant_for_a_shell(&text.value) {
        problems.add(
            text.span,
            format!(
                "no shell reads the command of a task, so {part:?} would have no meaning: put it in quotation marks if it is meant as it stands, state variables under `env`, or write an array, such as [\"sh\", \"-c\", \"...\"] with \"sh\" from a toolchain or from `host`"
            ),
        );
    }
    words
}

/// Checks that the tasks that others name exist, and that none needs itself.
fn check(tasks: &BTreeMap<String, ProjectTask>, problems: &mut Problems) {
    for task in tasks.values() {
        for other in &task.depends_on {
            if !tasks.contains_key(&other.value) {
                let hint = problems.did_you_mean(&other.value, tasks.keys().map(String::as_str));
                problems
                    .add(other.span.clone(), format!("there is no task {:?}{hint}", other.value));
            }
        }
    }
    for cycle in cycles(tasks) {
        let name = cycle[0];
        let span = tasks[name].depends_on.first().map_or(0..0, |other| other.span.clone());
        let path = cycle.join(" -> ");
        problems.add(span, format!("the task {name} depends on itself: {path} -> {name}"));
    }
}

/// Returns cycles of the tasks, each beginning with its first name: one for each dependency that leads
/// back to a task on the way to it. Each task is entered once.
fn cycles(tasks: &BTreeMap<String, ProjectTask>) -> Vec<Vec<&str>> {
    let mut out = vec![];
    let mut entered = BTreeSet::new();
    for first in tasks.keys() {
        if !entered.insert(first.as_str()) {
            continue;
        }
        // The tasks on the way, each with the number of its dependencies that were followed.
        let mut way = vec![(first.as_str(), 0)];
        let mut place = BTreeMap::from([(first.as_str(), 0)]);
        while let Some((name, followed)) = way.last_mut() {
            let Some(other) = tasks[*name].depends_on.get(*followed) else {
                place.remove(name);
                way.pop();
                continue;
            };
            *followed += 1;
            let Some((other, _)) = tasks.get_key_value(&other.value) else { continue };
            if let Some(at) = place.get(other.as_str()) {
                if out.len() == MOST_CYCLES {
                    return out;
                }
                let mut cycle: Vec<&str> = way[*at..].iter().map(|(name, _)| *name).collect();
                let least = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or(0);
                cycle.rotate_left(least);
                out.push(cycle);
            } else if entered.insert(other) {
                place.insert(other, way.len());
                way.push((other, 0));
            }
        }
    }
    out
}

/// Returns a task and everything that it depends on, each once, in the order in which they run.
pub fn in_order<'a>(
    tasks: &'a BTreeMap<String, ProjectTask>,
    name: &str,
) -> Vec<(&'a str, &'a ProjectTask)> {
    let mut out: Vec<(&str, &ProjectTask)> = vec![];
    let mut known = BTreeSet::new();
    let mut todo: Vec<(&str, bool)> =
        tasks.get_key_value(name).into_iter().map(|(n, _)| (n.as_str(), false)).collect();
    while let Some((name, is_ready)) = todo.pop() {
        let Some(task) = tasks.get(name).filter(|_| !known.contains(name)) else { continue };
        if is_ready {
            known.insert(name);
            out.push((name, task));
            continue;
        }
        todo.push((name, true));
        todo.extend(task.depends_on.iter().rev().map(|other| (other.value.as_str(), false)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;

    fn tasks(text: &str) -> (BTreeMap<String, ProjectTask>, Vec<String>) {
        let mut problems = Problems::new("toolchains.toml", text);
        let manifest = Manifest::parse(text, &mut problems);
        (manifest.tasks, problems.lines())
    }

    #[test]
    fn commands_are_words_and_tasks_run_in_order() {
        let (tasks, problems) = tasks(
            "[tasks]\nbuild = \"make -j4 'A B'\"\nall = { depends-on = [\"test\", \"lint\"] }\nlint = [\"sh\", \"-c\", \"a | b $X\"]\n[tasks.test]\ncommand = \"./t\"\nenv = { A = \"1\" }\ndepends-on = \"build\"\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(tasks["build"].command, ["make", "-j4", "A B"]);
        assert_eq!(tasks["test"].env["A"], "1");
        let names = |name| in_order(&tasks, name).iter().map(|(n, _)| *n).collect::<Vec<_>>();
        assert_eq!(names("all"), ["build", "test", "lint", "all"]);
        assert_eq!(names("build"), ["build"]);
    }

    /// With work in proportion to the square of the chain, this takes a minute.
    #[test]
    fn long_chains_are_quick() {
        let count = 20_000;
        let mut text = "[tasks]\n".to_owned();
        for at in 0..count {
            text.push_str(&format!("t{at:05} = {{ depends-on = [\"t{:05}\"] }}\n", at + 1));
        }
        let (end, back) = (
            format!("t{count} = \"x\"\n"),
            format!("t{count} = {{ depends-on = [\"t00000\"] }}\n"),
        );
        let (good, problems) = tasks(&format!("{text}{end}"));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(in_order(&good, "t00000").len(), count + 1);
        let (_, problems) = tasks(&format!("{text}{back}"));
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("the task t00000 depends on itself"),
            "{}",
            &problems[0][..99]
        );
    }

    #[test]
    fn what_cannot_run_is_told() {
        let (_, problems) = tasks(
            "[tasks]\na = { command = \"x\", depends-on = [\"b\"] }\nb = { depends-on = [\"a\", \"aa\"] }\nc = \"x | y\"\nd = \"echo $HOME\"\ne = {}\n\"f g\" = \"x\"\nh = \"'\"\ni = { comand = \"x\", depends-on = [\"c\"] }\nj = 1\nk = { command = \"x\", env = { PATH = \"\" } }\n",
        );
        let told = problems.join("\n");
        for part in [
            "2:36: the task a depends on itself: a -> b -> a",
            "3:26: there is no task \"aa\"",
            "4:5: no shell reads the command of a task, so \"|\"",
            "5:5: no shell reads the command of a task, so \"$\"",
            "6:5: the task \"e\" has nothing to do",
            "7:1: expected a name of letters",
            "8:5: a quotation mark is not closed",
            "unknown key \"comand\" in [i]; did you mean \"command\"?",
            "10:5: expected an array of strings for \"j\", got an integer",
            "11:30: a task can't set PATH",
        ] {
            assert!(told.contains(part), "{part:?} is not in\n{told}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_found() {
        let found = |text| meant_for_a_shell(text);
        for (text, part) in [
            ("echo hi >out.txt", ">"),
            ("echo hi|wc", "|"),
            ("echo a;echo b", ";"),
            ("a&&b", "&"),
            ("x 2>/dev/null", ">"),
            ("rm -f *.o", "*"),
            ("mkdir ~/gx", "~"),
            ("mkdir {a,b}", "{a,b}"),
            ("seq {1..3}", "{1..3}"),
            ("FOO=1 cmd", "FOO"),
            ("echo \"$HOME\"", "$"),
            ("echo `date`", "`"),
            ("make # all", "#"),
        ] {
            assert_eq!(found(text), Some(part), "{text}");
        }
        for text in [
            "make -j4 CFLAGS=-O2 'a;b'",
            "echo '$HOME' \\> \"a|b\"",
            "xargs -I{} echo {}",
            "git show HEAD~1 a#b",
            "pytest 't.py::test[x]'",
            "./run a=b",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
