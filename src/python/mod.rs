//! Python packages: the installation of wheels, the resolution of requirements, and the files that
//! state requirements.

pub mod requirement_files;
pub mod sdist;
pub mod uv;
pub mod venv;
pub mod wheel;
