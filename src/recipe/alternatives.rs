//! Alternatives: names such as `awk` and `java` for which several packages may have a program.
//! Debian's maintainer scripts register them with `update-alternatives --install`. These calls are
//! read here; no script is run. Source: update-alternatives(1).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::layers::Layers;
use super::notes::{Notes, UnreadAlternative};
use super::prune::Pruning;
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::relocate::symlinks::usrmerged;
use crate::text::shell_commands::commands;

/// The greatest number of commands that are read of one script, with those of loops counted each
/// time. No real script has more than some hundred.
const MOST_COMMANDS: usize = 5_000;

/// The greatest depth of loops within each other that is read.
const DEEPEST: usize = 8;

/// Words after which the words of a command follow.
const PREFIXES: &[&str] = &["!", "do", "elif", "else", "if", "then", "until", "while", "{"];

/// One registered alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    /// The generic name, such as `/usr/bin/awk`.
    link: String,
    /// The program that it may stand for, such as `/usr/bin/mawk`.
    path: String,
    /// The greatest priority wins.
    priority: i64,
    /// Further links that follow the same choice, each with its target.
    slaves: Vec<(String, String)>,
}

/// Creates the links that `update-alternatives` would create where the tree has nothing. Of several
/// alternatives for one link, those of the packages that the manifest names come first, then those
/// with the greatest priority, then those of the first package.
pub fn link(plan: &Plan, layers: &mut Layers, pruning: &Pruning, notes: &mut Notes) {
    let named = plan.spec.programs().map_or(&[][..], |p| &p.named);
    let mut by_link: BTreeMap<MemberPath, Vec<(bool, i64, usize, Alternative)>> = BTreeMap::new();
    for (input, script) in &layers.postinst {
        let Some(package) = plan.inputs.get(*input).map(|i| &i.component.name) else { continue };
        let (found, unread) = read(script);
        notes.unread.extend(
            unread.into_iter().map(|call| UnreadAlternative { package: package.clone(), call }),
        );
        for alternative in found {
            let (Some(link), Some(target)) = (place(&alternative.link), place(&alternative.path))
            else {
                continue;
            };
            if layers.tree.file(&target).is_some() {
                let rank = (!named.contains(package), -alternative.priority, *input, alternative);
                by_link.entry(link).or_default().push(rank);
            }
        }
    }
    for (link, mut candidates) in by_link {
        candidates.sort_by_key(|(unnamed, priority, input, _)| (*unnamed, *priority, *input));
        let Some((_, _, input, best)) = candidates.into_iter().next() else { continue };
        let slaves =
            best.slaves.iter().filter_map(|(link, path)| Some((place(link)?, place(path)?)));
        for (link, target) in [(Some(link), place(&best.path))]
            .into_iter()
            .filter_map(|(link, target)| Some((link?, target?)))
            .chain(slaves)
        {
            let wanted = pruning.keeps(&link) && layers.tree.exists(&target);
            if wanted && !layers.tree.exists(&link) {
                layers.tree.link(link.clone(), &target);
                layers.owners.record(link, input);
            }
        }
    }
}

/// Returns the place in a tree of an absolute path.
fn place(path: &str) -> Option<MemberPath> {
    let relative = path.strip_prefix('/')?;
    MemberPath::parse(relative.as_bytes()).ok()?.map(|path| usrmerged(&path))
}

/// Returns the alternatives that a maintainer script registers, and the calls that could not be
/// read.
fn read(script: &str) -> (Vec<Alternative>, Vec<String>) {
    if !script.contains("update-alternatives") {
        return (vec![], vec![]);
    }
    let commands = commands(script);
    let assigned = commands.iter().flatten().filter_map(|word| assignment(word));
    let mut reader =
        Reader { own: assigned.map(|(name, _)| name.to_owned()).collect(), ..Reader::default() };
    reader.run(&commands);
    (reader.found, reader.unread)
}

/// The value of a variable.
#[derive(Debug, Clone)]
struct Value {
    /// The text, or `None` if it is only known when the script runs.
    text: Option<String>,
    /// The number of conditions around the assignment.
    depth: usize,
}

#[derive(Default)]
struct Reader {
    /// The variables that the script itself sets or unsets somewhere. Until then they are empty, whereas any
    /// other variable has a value that is unknown.
    own: HashSet<String>,
    variables: HashMap<String, Value>,
    /// The number of conditions around the current command.
    depth: usize,
    /// The number of loops around the current command.
    loops: usize,
    count: usize,
    found: Vec<Alternative>,
    unread: Vec<String>,
}

impl Reader {
    /// Reads commands in order. Both branches of a condition are read; the body of a loop over words
    /// is read once for each word.
    fn run(&mut self, commands: &[Vec<String>]) {
        let mut i = 0;
        while i < commands.len() && self.count < MOST_COMMANDS {
            self.count += 1;
            let words: Vec<&str> = commands[i].iter().map(String::as_str).collect();
            self.depth +=
                words.iter().take_while(|w| PREFIXES.contains(w)).filter(|w| **w == "if").count();
            let skipped = words.iter().take_while(|word| PREFIXES.contains(word)).count();
            match &words[skipped..] {
                ["for", variable, "in", values @ ..] => {
                    let end = i + 1 + end_of_loop(&commands[i + 1..]);
                    self.loops += 1;
                    if self.loops <= DEEPEST {
                        self.repeat(variable, values, &commands[i + 1..end]);
                    }
                    self.loops -= 1;
                    i = end;
                }
                ["case", ..] => self.depth += 1,
                ["fi" | "esac", ..] => self.depth = self.depth.saturating_sub(1),
                words => self.command(words),
            }
            i += 1;
        }
    }

    fn repeat(&mut self, variable: &str, values: &[&str], body: &[Vec<String>]) {
        let values: Option<Vec<String>> = values.iter().map(|word| self.expand(word)).collect();
        let (values, depth) = (values.map(|values| values.join(" ")), self.depth);
        match values {
            Some(values) => {
                for value in values.split_whitespace() {
                    let value = Value { text: Some(value.to_owned()), depth };
                    self.variables.insert(variable.to_owned(), value);
                    self.run(body);
                }
            }
            None => {
                self.variables.insert(variable.to_owned(), Value { text: None, depth });
                self.run(body);
            }
        }
    }

    fn command(&mut self, words: &[&str]) {
        let words = match words {
            ["export" | "local" | "readonly", rest @ ..] => rest,
            ["unset", rest @ ..] => {
                for name in rest {
                    self.variables.remove(*name);
                    self.own.insert((*name).to_owned());
                }
                return;
            }
            words => words,
        };
        let assignments = words.iter().take_while(|word| assignment(word).is_some()).count();
        for (name, value) in words[..assignments].iter().filter_map(|word| assignment(word)) {
            self.assign(name, value);
        }
        let [program, arguments @ ..] = &words[assignments..] else { return };
        if program.rsplit('/').next() == Some("update-alternatives")
            && arguments.contains(&"--install")
        {
            match self.install(arguments) {
                Some(alternative) if self.found.contains(&alternative) => {}
                Some(alternative) => self.found.push(alternative),
                None => {
                    let call = arguments.join(" ");
                    if !self.unread.contains(&call) {
                        self.unread.push(call);
                    }
                }
            }
        }
    }

    fn assign(&mut self, name: &str, value: &str) {
        let (text, depth) = (self.expand(value), self.depth);
        let value = match self.variables.get(name) {
            // Whether a condition holds is unknown. A computed value then corrects a literal one, for
            // example the priority on a foreign architecture.
            Some(known) if known.depth < depth && text.is_none() => return,
            Some(known) if known.depth < depth && known.text != text => {
                Value { text: None, depth: known.depth }
            }
            _ => Value { text, depth },
        };
        self.variables.insert(name.to_owned(), value);
    }

    /// Reads the arguments of a call with `--install`. Returns `None` if one of them is not known.
    fn install(&self, arguments: &[&str]) -> Option<Alternative> {
        let mut words: Vec<String> = vec![];
        for argument in arguments {
            words.extend(self.expand(argument)?.split_whitespace().map(str::to_owned));
        }
        let mut words = words.into_iter();
        let mut out = None;
        let absolute = |path: String| path.starts_with('/').then_some(path);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--install" => {
                    let (link, _) = (absolute(words.next()?)?, words.next()?);
                    let (path, priority) = (absolute(words.next()?)?, words.next()?);
                    let priority = priority.parse().ok()?;
                    out = Some(Alternative { link, path, priority, slaves: vec![] });
                }
                "--slave" | "--follower" => {
                    let (link, _) = (absolute(words.next()?)?, words.next()?);
                    let path = absolute(words.next()?)?;
                    out.as_mut()?.slaves.push((link, path));
                }
                "--altdir" | "--admindir" | "--instdir" | "--log" | "--root" => {
                    words.next()?;
                }
                option if option.starts_with("--") => {}
                _ => return None,
            }
        }
        out
    }

    /// Returns a word with its variables replaced, or `None` if the value of one of them is not
    /// known.
    fn expand(&self, word: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = word;
        while let Some(at) = rest.find(['$', '`']) {
            out.push_str(&rest[..at]);
            rest = rest[at..].strip_prefix('$')?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name = if let Some(inner) = rest.strip_prefix('{') {
                let (name, after) = inner.split_once('}')?;
                rest = after;
                name
            } else {
                let (name, after) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
                rest = after;
                name
            };
            if name.is_empty()
                || name.starts_with(|c: char| c.is_ascii_digit())
                || !name.chars().all(is_name)
            {
                return None;
            }
            match self.variables.get(name) {
                Some(value) => out.push_str(value.text.as_deref()?),
                None if self.own.contains(name) => {}
                None => return None,
            }
        }
        out.push_str(rest);
        Some(out)
    }
}

/// Splits `name=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit());
    plain.then_some((name, value))
}

/// Returns the position of the `done` that ends a loop, whose body begins with `commands`.
fn end_of_loop(commands: &[Vec<String>]) -> usize {
    let mut depth = 1;
    for (i, words) in commands.iter().enumerate() {
        let first =
            words.iter().find(|word| !["do", "then", "else", "{", "!"].contains(&word.as_str()));
        match first.map(String::as_str) {
            Some("for" | "while" | "until") => depth += 1,
            Some("done") => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    commands.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(script: &str) -> Vec<String> {
        let (found, unread) = read(script);
        assert!(unread.is_empty(), "{unread:?}");
        let show = |a: Alternative| {
            let slaves: Vec<String> = a.slaves.iter().map(|(l, p)| format!("{l}->{p}")).collect();
            format!("{}->{} {} [{}]", a.link, a.path, a.priority, slaves.join(" "))
        };
        found.into_iter().map(show).collect()
    }

    #[test]
    fn literal_calls_with_slaves_are_read() {
        let script = "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n\
            \tupdate-alternatives --quiet --install /usr/bin/tool tool \\\n\
            \t  /usr/bin/tool-a 15 \\\n\
            \t  --slave /usr/share/man/man1/tool.1.gz tool.1.gz /usr/share/man/man1/tool-a.1.gz \\\n\
            \t  #--slave /usr/bin/no no /usr/bin/no-a\n\
            fi\n\
            update-alternatives --remove old /usr/bin/old\n\
            update-alternatives --install \"/usr/bin/other\" 'other' /usr/bin/other-a 7 || true\n";
        assert_eq!(
            links(script),
            [
                "/usr/bin/tool->/usr/bin/tool-a 15 [/usr/share/man/man1/tool.1.gz->/usr/share/man/man1/tool-a.1.gz]",
                "/usr/bin/other->/usr/bin/other-a 7 []",
            ]
        );
    }

    #[test]
    fn loops_and_variables_are_followed() {
        // In the shape of a Java runtime's: the list in a variable, a slave in a variable, a
        // priority that is corrected on a foreign architecture, other loops before.
        let script = "#!/bin/sh\narch=here\nprio=100\nbase=/usr/lib/vm/one\nnames='run make'\n\
            case \"$1\" in\nconfigure)\n\
            for i in $names; do if [ -z \"$(update-alternatives --list $i)\" ]; then update=y; break; fi; done\n\
            if [ \"$ARCH\" != $(uname -m) ]; then prio=$(expr $prio - 1); fi\n\
            for i in $names; do\n\
              unset extra more || true\n\
              if [ -e $base/man/$i.1 ]; then extra=\"--slave \\\n /usr/share/man/$i.1 $i.1 $base/man/$i.1\"; fi\n\
              update-alternatives --install /usr/bin/$i $i ${base}/bin/$i $prio $extra $more\n\
            done\n;;\nesac\n";
        assert_eq!(
            links(script),
            [
                "/usr/bin/run->/usr/lib/vm/one/bin/run 100 [/usr/share/man/run.1->/usr/lib/vm/one/man/run.1]",
                "/usr/bin/make->/usr/lib/vm/one/bin/make 100 [/usr/share/man/make.1->/usr/lib/vm/one/man/make.1]",
            ]
        );
    }

    #[test]
    fn what_depends_on_the_machine_is_not_read() {
        for script in [
            "update-alternatives --install /usr/bin/x x $1 10",
            "p=$(compute); update-alternatives --install /usr/bin/x x $p 10",
            "p=/a; if [ -e /b ]; then p=/b; fi; update-alternatives --install /usr/bin/x x $p 10",
            "update-alternatives --install /usr/bin/x x /usr/bin/y",
            "update-alternatives --install /usr/bin/x x /usr/bin/y much",
            "update-alternatives --install x x /usr/bin/y 1",
            "for i in *; do update-alternatives --install /usr/bin/x x /usr/bin/`basename $i` 1; done",
        ] {
            let (found, unread) = read(script);
            assert!(found.is_empty() && unread.len() == 1, "{script}: {found:?} {unread:?}");
        }
    }

    #[test]
    fn hostile_loops_end() {
        let words = "a ".repeat(1000);
        let script = format!(
            "for a in {words}; do for b in {words}; do for c in {words}; do update-alternatives --install /x x /y 1; done; done; done"
        );
        let (found, unread) = read(&script);
        assert_eq!((found.len(), unread.len()), (1, 0));
        read(&"for x in a; do ".repeat(10_000));
        read("for x in a; do update-alternatives for for for done done ( ' \" `");
    }
}
