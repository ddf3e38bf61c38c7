# cotter itself, with its own release profile (Cargo.toml) and flags (.cargo/config.toml): one static file.
{ rustPlatform, glibc ? null }:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
  # What is made in the repository is no part of it.
  isSource = path: type: !(builtins.elem (baseNameOf path) [ "target" ".git" "result" ]);
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;
  src = builtins.path { name = "cotter-source"; path = ../.; filter = isSource; };
  cargoLock.lockFile = ../Cargo.lock;
  # The libc is linked in.
  buildInputs = if glibc ? static then [ glibc.static ] else [ ];
  # The tests fetch packages and start other Nix: run them in a checkout.
  doCheck = false;
  meta = {
    inherit (manifest.package) description;
    mainProgram = manifest.package.name;
  };
}
