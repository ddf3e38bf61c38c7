//! Python packages: how wheels are installed, how requirements are resolved, and the files that say so.

pub mod pylock;
pub mod requirement_files;
pub mod sdist;
pub mod uv;
pub mod venv;
pub mod wheel;
