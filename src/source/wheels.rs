//! The files of a set of Python packages: wheels, and source distributions that are built into wheels.

use super::Unpack;
use crate::error::{Error, Result};
use crate::model::MemberPath;
use crate::python::{sdist, wheel};
use crate::tree::Tree;
use crate::unpack::Limits;

/// What the lock calls it.
pub const NAME: &str = "wheels";

/// Installs the input. A source distribution's wheel must have been built before: see [`sdist`].
///
/// # Errors
/// If its bytes cannot be had, or are refused.
pub fn unpack(job: &Unpack) -> Result<Tree> {
    let built = job.input.package.as_ref().and_then(|p| p.built.as_ref());
    let path = match built {
        Some(built) => {
            job.task.advance(job.input.size);
            job.fetcher.built(&built.sha256).ok_or_else(|| sdist::not_built(job.plan, job.input))?
        }
        None => job.fetcher.file(job.input, None, job.task)?,
    };
    let name = built.map_or(job.input.file_name(), |b| b.file.as_str());
    let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
    let size = built.map_or(job.input.size, |b| b.size);
    wheel::install(
        file,
        name,
        &job.plan.version,
        Limits::for_archive(size),
        job.blobs,
        &|path: &MemberPath| job.pruning.keeps(path),
    )
}
