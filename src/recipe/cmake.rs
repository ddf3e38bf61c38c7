//! CMake: the files in which packages describe themselves to it name `/usr`, and CMake itself searches
//! there. In a tree, the files refer to their own location, and CMake searches the trees.

use super::edit::replace;
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::tree::{BlobDir, Node, Tree};

/// The directories of the machine that CMake searches, as its own files name them, and the condition
/// under which it searches the directory in which a project is installed. By default, that one is
/// `/usr/local`.
const SEARCHED: &[(&str, &str)] = &[
    (
        "  # Standard\n  /usr/local /usr /\n",
        "  # Standard: those of the trees (CMAKE_PREFIX_PATH), and those of a sysroot\n  ${_cotter_roots}\n",
    ),
    (
        "if (NOT CMAKE_FIND_NO_INSTALL_PREFIX)\n",
        "if (NOT CMAKE_FIND_NO_INSTALL_PREFIX AND NOT CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)\n",
    ),
    ("list(APPEND CMAKE_SYSTEM_PREFIX_PATH\n", ROOTS),
    ("  /usr/X11R6\n  /usr/pkg\n  /opt\n", ""),
    ("_cmake_record_install_prefix()\n", IGNORED),
    ("  # X11\n  /usr/include/X11\n", ""),
    ("  # X11\n  /usr/lib/X11\n", ""),
];

/// What is added before the first list of directories. CMake would look for `/usr` below the directories
/// that stand for the root of the target; there, it is named as a whole, so that the machine's is not
/// searched. Programs are those of the machine or of the trees if the project says so.
const ROOTS: &str = r#"set(_cotter_roots)
foreach(_cotter_root ${CMAKE_SYSROOT} ${CMAKE_FIND_ROOT_PATH})
  string(REGEX REPLACE "/+$" "" _cotter_root "${_cotter_root}")
  if(NOT _cotter_root STREQUAL "")
    list(APPEND _cotter_roots "${_cotter_root}/usr/local" "${_cotter_root}/usr" "${_cotter_root}")
    if(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM STREQUAL "NEVER")
      foreach(_cotter_prefix /usr/local /usr "")
        list(APPEND CMAKE_SYSTEM_IGNORE_PATH
          "${_cotter_root}${_cotter_prefix}/bin" "${_cotter_root}${_cotter_prefix}/sbin")
      endforeach()
    endif()
  endif()
endforeach()
list(APPEND CMAKE_SYSTEM_PREFIX_PATH
"#;

/// What is added behind the first list of directories. `find_package` takes the parents of the
/// directories in PATH for prefixes, whatever the lists say: the machine's must be left out by name.
const IGNORED: &str = r#"_cmake_record_install_prefix()

# The machine is searched only if CMAKE_PREFIX_PATH names it. `find_package` also ignores below a
# sysroot what it is to ignore, but does not mind such directories of files.
if(NOT _cotter_roots)
  foreach(_cotter_prefix / /usr /usr/local /opt)
    list(FIND CMAKE_PREFIX_PATH "${_cotter_prefix}" _cotter_named)
    if(_cotter_named EQUAL -1)
      list(APPEND CMAKE_IGNORE_PREFIX_PATH "${_cotter_prefix}")
    endif()
  endforeach()
else()
  foreach(_cotter_prefix "" /usr /usr/local /opt)
    foreach(_cotter_dir include lib lib64)
      list(APPEND CMAKE_SYSTEM_IGNORE_PATH "${_cotter_prefix}/${_cotter_dir}")
      foreach(_cotter_triple x86_64-linux-gnu aarch64-linux-gnu)
        list(APPEND CMAKE_SYSTEM_IGNORE_PATH "${_cotter_prefix}/${_cotter_dir}/${_cotter_triple}")
      endforeach()
    endforeach()
  endforeach()
endif()
"#;

/// Makes the CMake of a tree search no directory of the machine by default, if the tree has one.
///
/// # Errors
/// If its file is not as expected, so that this version of CMake is unknown, or if a staged file cannot
/// be written.
pub fn settle_program(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    for directory in tree.entries("usr/share") {
        let path = format!("usr/share/{directory}/Modules/Platform/UnixPaths.cmake");
        if directory.starts_with("cmake") && tree.at(&path).is_some() {
            for (from, to) in SEARCHED {
                replace(tree, blobs, &path, from, to)?;
            }
        }
    }
    Ok(())
}

/// Rewrites every `.cmake` file of a tree of libraries.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn relocate(tree: &mut Tree, blobs: &BlobDir, platform: Platform) -> Result<()> {
    let is_cmake = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. })
            && path.file_name().ends_with(".cmake")
            && path.is_under("usr")
    };
    for path in tree.paths(is_cmake) {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let Ok(text) = String::from_utf8(blob.read()?) else { continue };
        let up = vec![".."; path.depth() - 2].join("/");
        let has = |path: &str| tree.exists(&MemberPath::literal(path));
        let new = rewrite(&text, &up, platform.multiarch(), &has);
        if new != text {
            let blob = blobs.put(new.as_bytes())?;
            tree.put(path, Node::File { blob, executable: false });
        }
    }
    Ok(())
}

/// The beginnings of the paths that are replaced.
const PLACES: &[&str] =
    &["/usr/bin", "/usr/include", "/usr/lib", "/usr/libexec", "/usr/sbin", "/usr/share"];

/// The comment before the line in which an exported file names the directory for which it was made.
const CONFIGURED: &str = "# The installation prefix configured by this project.";

/// Returns the text of a file that lies `up` below `usr`.
fn rewrite(text: &str, up: &str, multiarch: &str, has: &dyn Fn(&str) -> bool) -> String {
    let here = format!("${{CMAKE_CURRENT_LIST_DIR}}/{up}");
    let mut out = String::new();
    let mut configured = false;
    for line in text.split_inclusive('\n') {
        // The file compares its own place with that for which it was made: the two must differ.
        if line.contains("_realOrig") || line.trim_start().starts_with('#') {
            out.push_str(line);
        } else if configured && line.trim() == "set(_IMPORT_PREFIX \"/usr\")" {
            out.push_str(&format!("get_filename_component(_IMPORT_PREFIX \"{here}\" ABSOLUTE)\n"));
        } else {
            out.push_str(&rewrite_line(line, &here, multiarch, has));
        }
        configured = line.trim() == CONFIGURED;
    }
    out
}

fn rewrite_line(line: &str, here: &str, multiarch: &str, has: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("/usr/") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"';:,()<>$".contains(c));
        let path = &after[..end.unwrap_or(after.len())];
        let begins = before.chars().last().is_none_or(|c| "\"'; \t(=:,".contains(c));
        let is_place = PLACES.iter().any(|place| {
            path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let of_system = path
            .strip_prefix(&format!("/usr/lib/{multiarch}/lib"))
            .and_then(|name| name.strip_suffix(".so").or_else(|| name.strip_suffix(".a")))
            .filter(|stem| !stem.contains('/') && !has(&path[1..]));
        match of_system {
            _ if !begins || !is_place => out.push_str(path),
            // A library of the libc: the compiler's own tree has it.
            Some(stem) => out.push_str(&format!("-l{stem}")),
            None => out.push_str(&format!("{here}{}", &path["/usr".len()..])),
        }
        rest = &after[path.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_of_the_system_become_relative() {
        let text = "get_filename_component(_realOrig \"/usr/lib/x\" REALPATH)\n  set(_IMPORT_PREFIX \"/usr\")\n\
            # see /usr/share/doc\nset(a \"/usr/include/x;/usr/lib/m/libm.so;/usr/lib/m/libz.so\")\n\
            set(b https://h/usr/include)\n\
            # The installation prefix configured by this project.\nset(_IMPORT_PREFIX \"/usr\")\n";
        let has = |path: &str| path == "usr/lib/m/libz.so";
        assert_eq!(
            super::rewrite(text, "../..", "m", &has),
            "get_filename_component(_realOrig \"/usr/lib/x\" REALPATH)\n  set(_IMPORT_PREFIX \"/usr\")\n\
            # see /usr/share/doc\nset(a \"${CMAKE_CURRENT_LIST_DIR}/../../include/x;-lm;${CMAKE_CURRENT_LIST_DIR}/../../lib/m/libz.so\")\n\
            set(b https://h/usr/include)\n\
            # The installation prefix configured by this project.\n\
            get_filename_component(_IMPORT_PREFIX \"${CMAKE_CURRENT_LIST_DIR}/../..\" ABSOLUTE)\n"
        );
    }
}
