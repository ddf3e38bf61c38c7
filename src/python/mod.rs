//! Python packages: the installation of wheels, the resolution of requirements, and the files that
//! state requirements.

mod confined;
mod gateway;
pub mod inputs;
pub mod pyproject;
pub mod requirement_files;
pub mod requirement_lines;
pub mod sdist;
pub mod uv;
pub mod venv;
pub mod wheel;
