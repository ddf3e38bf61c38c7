//! The recipes of builds: the steps that projects of one kind have in common. They are data, in
//! `templates/recipes`, that a user can read and copy into `steps`.

use std::collections::BTreeMap;

use crate::manifest::{Kind, Problems, root_table};
use crate::text::shell;

/// Every recipe by name, with its text.
const RECIPES: &[(&str, &str)] = &[
    ("autotools", include_str!("../../../templates/recipes/autotools.toml")),
    ("cargo", include_str!("../../../templates/recipes/cargo.toml")),
    ("cmake", include_str!("../../../templates/recipes/cmake.toml")),
    ("cpython", include_str!("../../../templates/recipes/cpython.toml")),
    ("go", include_str!("../../../templates/recipes/go.toml")),
    ("make", include_str!("../../../templates/recipes/make.toml")),
    ("meson", include_str!("../../../templates/recipes/meson.toml")),
];

/// A recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecipe {
    /// What it is for, in a few words.
    pub about: String,
    /// The kinds of toolchains that it makes. If the list is empty, it makes any.
    pub kinds: Vec<Kind>,
    /// The programs that its steps start.
    pub programs: Vec<String>,
    /// The steps. `{options}` stands for the options of the manifest, and `{multiarch}` for the name of
    /// the directories of libraries.
    pub steps: Vec<String>,
    /// The variables of the build.
    pub env: BTreeMap<String, String>,
}

/// Returns the names of the recipes.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    RECIPES.iter().map(|(name, _)| *name)
}

/// Returns the recipe with a name.
pub fn named(name: &str) -> Option<BuildRecipe> {
    let (name, text) = RECIPES.iter().find(|(known, _)| *known == name)?;
    let mut problems = Problems::new(name, text);
    let recipe = read(text, &mut problems);
    debug_assert!(problems.count() == 0, "{:?}", problems.lines());
    Some(recipe)
}

fn read(text: &str, problems: &mut Problems) -> BuildRecipe {
    let mut root = root_table("the recipe", text, problems);
    let about = root.required_string("about", problems).map(|text| text.value);
    let mut list = |key: &str| -> Vec<String> {
        let list = root.string_list(key, problems).unwrap_or_default();
        list.into_iter().map(|text| text.value).collect()
    };
    let (kinds, programs, steps) = (list("kinds"), list("programs"), list("steps"));
    let mut env = BTreeMap::new();
    if let Some(mut table) = root.table("env", problems) {
        for name in table.keys() {
            env.extend(table.string(&name, problems).map(|text| (name, text.value)));
        }
    }
    root.finish(problems);
    BuildRecipe {
        about: about.unwrap_or_default(),
        kinds: kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
        programs,
        steps,
        env,
    }
}

impl BuildRecipe {
    /// Returns the steps with these options, for a platform whose libraries are in directories of the
    /// name `multiarch`. The first of them checks that the programs are there.
    pub fn steps(&self, options: &[String], multiarch: &str) -> Vec<String> {
        let options: Vec<String> = options.iter().map(|option| shell::word(option)).collect();
        let options = options.join(" ");
        let fill = |step: &String| {
            step.replace("{options}", &options)
                .replace("{multiarch}", multiarch)
                .trim_end()
                .to_owned()
        };
        let check =
            (!self.programs.is_empty()).then(|| format!("needs {}", self.programs.join(" ")));
        check.into_iter().chain(self.steps.iter().map(fill)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_can_be_read() {
        for (name, text) in RECIPES {
            let mut problems = Problems::new(name, text);
            let recipe = read(text, &mut problems);
            assert_eq!(problems.lines(), Vec::<String>::new());
            assert!(!recipe.about.is_empty() && !recipe.steps.is_empty(), "{name}");
            for step in recipe.steps(&[], "x86_64-linux-gnu") {
                assert!(!step.contains("{options}") && !step.contains("{multiarch}"), "{step}");
            }
        }
    }

    #[test]
    fn options_are_quoted() {
        let recipe = named("make").unwrap();
        let steps = recipe.steps(&["CFLAGS=-O2 -g".to_owned()], "x");
        assert!(steps[1].ends_with("prefix=/usr 'CFLAGS=-O2 -g'"), "{steps:?}");
        assert_eq!(steps[0], "needs make");
    }
}
