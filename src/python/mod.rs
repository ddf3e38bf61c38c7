//! Python packages: the installation of wheels, the resolution of requirements, and the files that
//! state requirements.

mod confined;
pub mod dependency;
pub mod editable;
mod gateway;
pub mod inputs;
mod isolated;
pub mod metadata;
pub mod named_files;
pub mod pyproject;
pub mod refusal;
pub mod requirement_files;
pub mod requirement_lines;
pub mod sdist;
mod sources;
pub mod target;
mod tool_uv;
pub mod uv;
mod uv_lock;
mod uv_words;
pub mod venv;
pub mod wheel;
