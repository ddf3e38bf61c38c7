//! Launchers: a launcher is a copy of the committed static program with instructions for one
//! program of one tree. The comment at the beginning of `launcher/launcher.c` describes the format
//! of the instructions.

use super::elf::Elf;
use super::paths::{GCONV_VARIABLE, LOCALES_VARIABLE};
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{Digest, MemberPath, Platform};
use crate::tree::{Blob, BlobDir, Node, Tree};

const X86_64: &[u8] = include_bytes!("../../launcher/launcher-x86_64");
const AARCH64: &[u8] = include_bytes!("../../launcher/launcher-aarch64");
/// The launchers that know instructions about what is linked.
const LINKER_X86_64: &[u8] = include_bytes!("../../launcher/linker-x86_64");
const LINKER_AARCH64: &[u8] = include_bytes!("../../launcher/linker-aarch64");
/// The launchers that take further directories of libraries.
const INTERPRETER_X86_64: &[u8] = include_bytes!("../../launcher/interpreter-x86_64");
const INTERPRETER_AARCH64: &[u8] = include_bytes!("../../launcher/interpreter-aarch64");
/// The launchers that know closures of Nix.
const CLOSURE_X86_64: &[u8] = include_bytes!("../../launcher/closure-x86_64");
const CLOSURE_AARCH64: &[u8] = include_bytes!("../../launcher/closure-aarch64");
pub(super) const MAGIC: &[u8] = b"cotter-launch-1\0";
const CONFIG: usize = 4096;

/// The locations of the loader and the libraries, which are the same for every program of a tree.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The platform of the tree.
    pub platform: Platform,
    /// The dynamic loader, as a real path below the root.
    pub loader: MemberPath,
    /// The library directories below the root, in the order of search.
    pub library_dirs: Vec<MemberPath>,
    /// The directory of the locales, if the tree has it.
    pub locales: Option<MemberPath>,
    /// The directory of the modules that convert between character sets, if the tree has it.
    pub gconv: Option<MemberPath>,
}

impl Runtime {
    /// Returns the variable by which the libc of the tree finds its locales, in the form
    /// `NAME=VALUE`. `%R` stands for the root of the tree.
    pub fn locales_variable(&self) -> Option<String> {
        Some(format!("{LOCALES_VARIABLE}=%R/{}", self.locales.as_ref()?))
    }

    /// Returns the variable by which it finds the modules that convert between character sets.
    pub fn gconv_variable(&self) -> Option<String> {
        Some(format!("{GCONV_VARIABLE}=%R/{}", self.gconv.as_ref()?))
    }
}

/// Whether a program gets the variable by which libc finds the modules that convert between
/// character sets. If libc has it, it reads the list of all modules at the first conversion, also
/// that of UTF-8, which needs none: this takes a millisecond, as long as the start of a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conversion {
    /// Always.
    #[default]
    Any,
    /// Only if an argument begins with one of these texts.
    ByArgument(&'static [&'static str]),
    /// Never: the program converts between none but the built-in character sets.
    None,
}

/// What a launcher does in addition to starting the program.
#[derive(Debug, Clone, Default)]
pub struct Instructions {
    /// The value that the program gets as `argv[0]`.
    pub argv0: Argv0,
    /// Arguments that precede the user's. `%R` stands for the root of the tree.
    pub args: Vec<String>,
    /// Arguments after those that a linker gets only if `COTTER_RUNTIME` is set to `runtime`. Static
    /// programs do not get them.
    pub runtime_args: Vec<String>,
    /// Arguments after those that a linker gets only if it links a program that asks for the loader
    /// of this tree.
    pub libc_args: Vec<String>,
    /// The same, but the arguments follow the user's.
    pub last_libc_args: Vec<String>,
    /// What the launchers of linkers and of compilers that start them look at.
    pub linking: Option<Linking>,
    /// Arguments that follow the user's, for each tree in `COTTER_LIBRARIES`. `%L` stands for that
    /// tree.
    pub library_args: Vec<String>,
    /// The variable that lists directories of libraries behind those of the tree. A virtual environment
    /// lists them in a file. The launchers of linkers do not know it.
    pub more_libraries: Option<&'static str>,
    /// Whether the program may convert between character sets.
    pub conversion: Conversion,
    /// Whether the loader preloads the library that redirects paths to the tree.
    pub redirect: bool,
    /// Whether `LD_LIBRARY_PATH` is passed on. The loader of the tree ignores it, but the children
    /// of the program may need it.
    pub keep_library_path: bool,
    /// Variables to unset. `NAME*` unsets all variables whose name begins with `NAME`.
    pub drop: Vec<String>,
    /// Variables to set, in the form `NAME=VALUE`.
    pub set: Vec<String>,
    /// Variables to set unless they are already set.
    pub default: Vec<String>,
    /// Whether the program has the in-place stub, so that it is started without a loader.
    pub in_place: bool,
    /// Whether the tree is a relocated closure of Nix: paths of the closure in the environment become
    /// those of the tree.
    pub closure: bool,
    /// What distinguishes the launchers of this tree from those of every other tree.
    pub tag: Option<Tag>,
}

/// How a launcher sees what is linked. What is made for another platform than that of the tree, or for
/// the system in a directory that `--sysroot` names, gets no library of the compiler or of other trees.
#[derive(Debug, Clone, Default)]
pub struct Linking {
    /// A text that the names of the tree's platform contain, also those of linkers for it.
    pub cpu: String,
    /// Arguments that precede the user's if a compiler is to link with another linker than those of
    /// its tree. They count under the same conditions as `runtime_args`.
    pub foreign_args: Vec<String>,
    /// The linkers of the tree, as `-fuse-ld=` names them.
    pub own: Vec<String>,
    /// The ends of the names under which the program links. Under another name it gets no
    /// `library_args`. If there are none, it links under every name.
    pub names: Vec<String>,
}

/// A mark in the launchers of a tree: caches of compiled objects recognise a compiler by the content
/// of its file, or by the file's size and time. All files of the store have the same time, so a
/// launcher differs in its size, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(Digest);

/// The sizes of launchers differ by less than this number of bytes.
const PADDING: u16 = 32768;

impl Tag {
    /// Returns the mark of the trees that are made from these inputs by this recipe.
    pub fn of(plan: &Plan) -> Tag {
        let inputs = plan.inputs.iter().map(|i| i.sha256.hex());
        let parts: Vec<String> = [plan.recipe.to_string(), plan.platform.to_string()]
            .into_iter()
            .chain(inputs)
            .collect();
        Tag(Digest::of(parts.join("\n").as_bytes()))
    }

    fn padding(self) -> usize {
        let [first, second, ..] = *self.0.as_bytes();
        usize::from(u16::from_le_bytes([first, second]) % PADDING)
    }
}

/// The value that a program gets as `argv[0]`.
#[derive(Debug, Clone, Default)]
pub enum Argv0 {
    /// The value that the caller passed.
    #[default]
    Verbatim,
    /// A path that leads to the launcher, through the caller's symlink if there is one.
    Found,
    /// A path below the root.
    Path(MemberPath),
}

/// Variables through which files of the host could get into any dynamically linked program.
pub const HOST_VARIABLES: &[&str] = &["LD_*", "GCONV_PATH", "LOCPATH", "NLSPATH", "GLIBC_TUNABLES"];

/// Variables that libc itself reads. A program of a closure gets those that name files of its tree, as
/// wrappers set them, and no others.
const LIBC_VARIABLES: &[&str] = &["LD_PRELOAD", "LOCALE_ARCHIVE*"];

/// The most directories above a launcher. The launcher reads the number as one character.
const DEEPEST: usize = 60;

/// The library in a tree that redirects paths of the system to the tree.
pub const REDIRECTION: &str = "usr/lib/.cotter/redirect.so";

/// Returns the bytes of a launcher that is located at `at` and starts `target`.
///
/// # Errors
/// If the instructions do not fit into the launcher.
pub fn render(
    runtime: Option<&Runtime>,
    platform: Platform,
    at: &MemberPath,
    target: &MemberPath,
    instructions: &Instructions,
) -> Result<Vec<u8>> {
    let mut strings: Vec<String> = vec![];
    let up = at.depth() - 1;
    if up > DEEPEST {
        return Err(Error::build(format!("{at} lies too deep for a launcher")));
    }
    strings.push(format!("u{}", char::from(b'0' + up as u8)));
    if let Some(runtime) = runtime {
        strings.push(format!("l{}", runtime.loader));
        strings.extend(runtime.locales_variable().map(|v| format!("e{v}")));
        match (runtime.gconv_variable(), instructions.conversion) {
            (Some(variable), Conversion::Any) => strings.push(format!("e{variable}")),
            (Some(variable), Conversion::ByArgument(beginnings)) => {
                strings.extend(beginnings.iter().map(|text| format!("i{text}")));
                strings.push(format!("c{variable}"));
            }
            // That of another tree would not fit.
            (None, _) | (_, Conversion::None) => strings.push(format!("d{GCONV_VARIABLE}")),
        }
        strings.extend(runtime.library_dirs.iter().map(|d| format!("p{d}")));
    }
    strings.push(format!("t{target}"));
    if instructions.redirect && runtime.is_some() {
        strings.push(format!("r{}", target.link_to(&MemberPath::literal(REDIRECTION))));
    }
    match &instructions.argv0 {
        Argv0::Verbatim => {}
        Argv0::Found => strings.push("nf".to_owned()),
        Argv0::Path(path) => strings.push(format!("n{path}")),
    }
    let nothing = Linking::default();
    let linking = instructions.linking.as_ref().unwrap_or(&nothing);
    strings.extend(instructions.linking.iter().map(|linking| format!("m{}", linking.cpu)));
    let lists: [(char, &[String]); 11] = [
        ('a', &instructions.args),
        ('w', &instructions.runtime_args),
        ('x', &linking.foreign_args),
        ('q', &linking.own),
        ('o', &linking.names),
        ('y', &instructions.libc_args),
        ('z', &instructions.last_libc_args),
        ('L', &instructions.library_args),
        ('d', &instructions.drop),
        ('e', &instructions.set),
        ('E', &instructions.default),
    ];
    strings.extend(instructions.more_libraries.map(|variable| format!("v{variable}")));
    strings.extend(HOST_VARIABLES.iter().map(|v| format!("d{v}")));
    if instructions.keep_library_path && runtime.is_some() {
        strings.push("kLD_LIBRARY_PATH".to_owned());
    }
    if instructions.closure {
        strings.extend(LIBC_VARIABLES.iter().map(|v| format!("s{v}")));
    }
    for (letter, list) in lists {
        strings.extend(list.iter().map(|s| format!("{letter}{s}")));
    }
    if instructions.redirect {
        // Scripts and shells find the commands that joined the tree for them.
        strings.push("Pusr/bin".to_owned());
    }
    strings.extend(instructions.tag.map(|tag| format!("#{}", &tag.0.hex()[..32])));
    let mut config = vec![];
    for s in &strings {
        config.extend_from_slice(s.as_bytes());
        config.push(0);
    }
    if config.len() >= CONFIG - MAGIC.len() {
        return Err(Error::build(format!(
            "the instructions for the launcher of {at} take {} bytes, there is room for {}",
            config.len(),
            CONFIG - MAGIC.len() - 1
        )));
    }
    let [plain, linker, interpreter, closure] = match platform {
        Platform::X86_64Linux => [X86_64, LINKER_X86_64, INTERPRETER_X86_64, CLOSURE_X86_64],
        Platform::Aarch64Linux => [AARCH64, LINKER_AARCH64, INTERPRETER_AARCH64, CLOSURE_AARCH64],
    };
    let mut out = match instructions {
        Instructions { closure: true, .. } => closure,
        Instructions { linking: Some(_), .. } => linker,
        Instructions { more_libraries: Some(_), .. } => interpreter,
        _ => plain,
    }
    .to_vec();
    let start = out
        .windows(MAGIC.len())
        .position(|w| w == MAGIC)
        .expect("the committed launcher has its magic")
        + MAGIC.len();
    out[start..start + config.len()].copy_from_slice(&config);
    // What follows the sections of a program is ignored.
    out.resize(out.len() + instructions.tag.map_or(0, Tag::padding), 0);
    Ok(out)
}

/// Puts a launcher in the place of the program at `path`, which is renamed to `.<name>.real` in the
/// same directory.
///
/// # Errors
/// If the launcher cannot be made.
pub fn wrap(
    tree: &mut Tree,
    blobs: &BlobDir,
    runtime: &Runtime,
    path: &MemberPath,
    instructions: &Instructions,
) -> Result<()> {
    let real = path.with_file_name(&format!(".{}.real", path.file_name()));
    let launcher =
        blobs.put(&render(Some(runtime), runtime.platform, path, &real, instructions)?)?;
    let node = tree.remove(path).expect("the caller found it there");
    tree.put(real, node);
    tree.put(path.clone(), Node::File { blob: launcher, executable: true });
    Ok(())
}

/// Whether a blob is a dynamically linked executable for `platform`. A library that can also be
/// started (`libc.so.6`) is recognised by its name. Programs for `target`, the platform for which a
/// compiler in the tree compiles, do not count.
///
/// # Errors
/// If it is an executable for another platform, or if it cannot be read.
pub fn is_dynamic_program(
    path: &MemberPath,
    blob: &Blob,
    platform: Platform,
    target: Platform,
) -> Result<bool> {
    if !blob.head(4)?.starts_with(b"\x7fELF") {
        return Ok(false);
    }
    let head = blob.head(4096)?;
    let Some(elf) = Elf::parse(&head) else { return Ok(false) };
    if !elf.has_interpreter() || is_library_name(path.file_name()) {
        return Ok(false);
    }
    if elf.machine != platform.elf_machine() {
        if elf.machine == target.elf_machine() {
            return Ok(false);
        }
        return Err(Error::build(format!(
            "{path} is a program for another machine (ELF machine {}) than {platform}",
            elf.machine
        )));
    }
    if let Some(interpreter) = elf.interpreter(&head)
        && interpreter.rsplit('/').next() != Some(platform.loader())
    {
        return Err(Error::build(format!(
            "{path} needs the loader {interpreter}, which no tree has"
        ))
        .hint("choose a build that is linked statically, or for glibc"));
    }
    Ok(true)
}

/// Whether the name has the form `libx.so`, `libx.so.1` or `libx-2.36.so`.
pub fn is_library_name(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}
