//! Examines repository rules that search for programs of the host: their code, and the files that
//! they wrote.

use super::{Finding, REPOSITORY_PROBE};

/// Examines the text of a .bzl file for repository rules that search PATH or start programs.
pub fn look_at_code(place: &str, text: &str) -> Vec<Finding> {
    let mut out = vec![];
    if !text.contains("repository_rule(")
        && !text.contains("repository_ctx")
        && !text.contains("module_ctx")
    {
        return out;
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        for (what, call) in [("searches PATH", ".which("), ("starts a program", ".execute(")] {
            if code.contains(call) {
                out.push(Finding::new(
                    &REPOSITORY_PROBE,
                    format!("{place}:{}", number + 1),
                    format!("{what}: {}", line.trim()),
                ));
            }
        }
        if code.contains("os.environ")
            && ["PATH", "\"CC\"", "HOME"].iter().any(|v| code.contains(v))
        {
            out.push(Finding::new(
                &REPOSITORY_PROBE,
                format!("{place}:{}", number + 1),
                format!("reads the environment: {}", line.trim()),
            ));
        }
    }
    out
}

/// Examines a file that a `local_config_*` repository wrote. Such a repository records the programs
/// that it found on the host as paths.
pub fn look_at_result(repository: &str, file: &str, text: &str) -> Option<Finding> {
    let line = text.lines().find(|l| {
        let code = l.split('#').next().unwrap_or_default();
        ["\"/usr/bin/", "\"/usr/lib", "\"/usr/include", "\"/usr/local", "=/usr/", "\"/opt/"]
            .iter()
            .any(|p| code.contains(p))
    })?;
    Some(Finding::new(
        &REPOSITORY_PROBE,
        format!("@{repository}//:{file}"),
        format!("it found on this machine: {}", line.trim().chars().take(160).collect::<String>()),
    ))
}
