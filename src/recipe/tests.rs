//! Tests of properties that hold for all recipes, and a recipe that needs only one file and one
//! line in the list.

use super::*;
use crate::facts::ToolFacts;
use crate::lockfile::{Spec, ToolSpec};
use crate::model::{MemberPath, Platform};
use crate::tree::Node;

/// An added recipe consists of this and its line in [`RECIPES`].
pub struct Dummy;

impl Recipe for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn version(&self) -> u32 {
        7
    }

    fn kind(&self) -> Kind {
        Kind::Tool
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        _: &Pruning,
        _: &mut Notes,
    ) -> Result<Tree> {
        let mut tree = layers.tree;
        let blob = blobs.put(plan.version.as_bytes())?;
        tree.put(MemberPath::literal("VERSION"), Node::File { blob, executable: false });
        Ok(tree)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        environment.set_default("DUMMY", tree.path.display().to_string());
    }

    fn facts(&self, _plan: &Plan, tree: &Tree) -> Result<Facts> {
        Ok(Facts::Tool(ToolFacts { inputs: tree.entries(""), ..ToolFacts::default() }))
    }
}

/// Returns a plan of a recipe, without inputs.
pub fn plan(recipe: &str, spec: Spec) -> Plan {
    Plan {
        name: recipe.parse().unwrap(),
        platform: Platform::X86_64Linux,
        spec,
        source: "debian".to_owned(),
        version: "12".to_owned(),
        recipe: id(named(recipe).unwrap()),
        uses: Default::default(),
        fingerprint: Default::default(),
        releases: vec![],
        evaluation: None,
        building: None,
        inputs: vec![],
    }
}

#[test]
fn a_recipe_is_one_file_and_one_line() {
    let dir = std::env::temp_dir().join(format!("cotter-recipe-{}", std::process::id()));
    let blobs = BlobDir::create(dir.clone()).unwrap();
    let plan = plan("dummy", Spec::Tool(ToolSpec::default()));
    let mut notes = Notes::default();
    let tree =
        finish(&plan, Layers::default(), &blobs, &pruning(&plan).unwrap(), &mut notes).unwrap();
    let Some(Node::File { blob, .. }) = tree.at("VERSION") else { panic!("no file") };
    assert_eq!(blob.read().unwrap(), b"12");
    let Facts::Tool(facts) = facts(&plan, &tree).unwrap() else { panic!("other facts") };
    assert_eq!(facts.inputs, ["VERSION"]);
    let active = Active {
        name: plan.name.clone(),
        recipe: named("dummy").unwrap(),
        platform: plan.platform,
        target: plan.platform,
        env: Default::default(),
        imports: vec![],
        libraries: vec![],
        path: "/s/dummy".into(),
        version: plan.version.clone(),
    };
    assert_eq!(environment(&[active]).set["DUMMY"], "/s/dummy");
    crate::store::delete_tree(&dir).unwrap();
}

#[test]
fn a_plan_of_another_version_or_kind_is_refused() {
    let mut plan = plan("dummy", Spec::Tool(ToolSpec::default()));
    plan.recipe.version = 6;
    let refused = |plan: &Plan| {
        let e = of_plan(plan).err().expect("another recipe");
        assert!(e.is_about("dummy") && e.kind() == crate::error::ErrorKind::User, "{e}");
    };
    refused(&plan);
    plan.recipe = id(named("gcc").unwrap());
    refused(&plan);
    plan.recipe.name = "unknown".to_owned();
    refused(&plan);
}

#[test]
fn names_are_unique_and_every_kind_has_a_recipe() {
    let mut names: Vec<&str> = RECIPES.iter().map(|r| r.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RECIPES.len());
    for kind in Kind::ALL {
        assert_eq!(of_kind(kind).kind(), kind);
    }
}

#[test]
fn libraries_reach_the_compiler_and_pkg_config() {
    let tree = |recipe: &str, path: &str| Active {
        name: recipe.parse().unwrap(),
        recipe: named(recipe).unwrap(),
        platform: Platform::X86_64Linux,
        target: Platform::X86_64Linux,
        env: Default::default(),
        imports: vec![],
        libraries: vec![],
        path: path.into(),
        version: "1".to_owned(),
    };
    let mut out = environment(&[tree("gcc", "/s/gcc"), tree("library", "/s/z")]);
    let mut of_user = out.clone();
    of_user.complete(&|name| (name == "COTTER_RUNTIME").then(|| "none".to_owned()));
    assert!(!of_user.set.contains_key("COTTER_RUNTIME"));
    out.complete(&|_| None);
    assert_eq!(out.path, ["/s/gcc/bin"]);
    assert_eq!(out.set["CC"], "/s/gcc/bin/gcc");
    assert_eq!(out.set["COTTER_LIBRARIES"], "/s/z");
    assert_eq!(out.set["COTTER_RUNTIME"], "runtime");
    let cross = Active { target: Platform::Aarch64Linux, ..tree("gcc", "/s/gcc") };
    let (library, native) = (tree("library", "/s/z"), tree("gcc", "/s/gcc"));
    let of = |trees: &[Active]| unlinkable(trees).map(|(names, by)| (names.join(","), by.target));
    let for_arm = ("library".to_owned(), Platform::Aarch64Linux);
    assert_eq!(of(&[cross.clone(), library.clone()]), Some(for_arm));
    assert_eq!(of(&[cross.clone(), library.clone(), native]), None);
    assert_eq!(of(&[library]), None);
    let mut of_cross = environment(&[cross]);
    of_cross.complete(&|_| None);
    assert!(!of_cross.set.contains_key("COTTER_RUNTIME"));
    assert!(out.set["PKG_CONFIG_LIBDIR"].starts_with("/s/z/usr/lib/x86_64-linux-gnu/pkgconfig:"));
    assert!(out.unset.contains(&"PKG_CONFIG_PATH".to_owned()));
    let set = environment(&[tree("zig", "/s/zig"), tree("packages", "/s/app")]);
    assert_eq!(set.set["CC"], "/s/zig/bin/cc");
    assert_eq!(set.set["PYTHONUSERBASE"], "/s/app");
    assert!(set.unset.contains(&"PYTHONNOUSERSITE".to_owned()));
}

/// Wherever the interpreter or the compiler stands among the packages, it gives the version.
#[test]
fn the_principal_package_is_the_recipes_own() {
    let of = |recipe: &str, packages: &[&'static str]| named(recipe).unwrap().principal(packages);
    assert_eq!(of("python", &["ca-certificates", "python3.11", "python3-pip"]), Some("python3.11"));
    assert_eq!(of("gcc", &["libc6-dev", "g++-12", "gcc-12"]), Some("gcc-12"));
    assert_eq!(of("tool", &["pkgconf-bin", "gcc-12"]), Some("pkgconf-bin"));
    let asked = |principal: Option<&str>, version: &str| Asked {
        target: Platform::X86_64Linux,
        libraries: vec![],
        selection: Default::default(),
        programs: Default::default(),
        version: version.to_owned(),
        principal: principal.map(str::to_owned),
    };
    let python = |asked| match named("python").unwrap().spec(asked) {
        Spec::Python(spec) => (spec.version, spec.abi),
        other => panic!("{other:?}"),
    };
    let expected = ("3.11".to_owned(), "cp311".to_owned());
    assert_eq!(python(asked(Some("python3.11"), "20230311+deb12u1")), expected);
    assert_eq!(python(asked(None, "3.11.2")), expected);
}
