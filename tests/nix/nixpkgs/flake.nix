# Stands in for nixpkgs, which the tests cannot reach: it has what flake.nix asks for, and no more. settings.json, which the test writes,
# says how cotter is built: `program` is copied, or it is compiled with the Rust in `toolchain` and the crates in `vendor`, offline.
{
  outputs = { self }:
    let
      settings = builtins.fromJSON (builtins.readFile ./settings.json);
      run = name: system: script: derivation {
        inherit name system;
        builder = "/bin/sh";
        args = [ "-euc" script ];
        PATH = "/usr/bin:/bin";
      };
      build = system: { pname, version, src, cargoLock, ... }: run "${pname}-${version}" system (
        if settings ? program then "mkdir -p $out/bin; cp ${settings.program} $out/bin/cotter"
        else ''
          cp -r ${src} source
          chmod -R u+w source
          cmp ${cargoLock.lockFile} source/Cargo.lock
          export HOME=$PWD CARGO_HOME=$PWD/home PATH=${settings.toolchain}/bin:$PATH
          mkdir home
          {
            echo '[source.crates-io]'
            echo 'replace-with = "vendored"'
            echo '[source.vendored]'
            echo 'directory = "${settings.vendor}"'
          } > home/config.toml
          cd source
          cargo build --release --frozen
          mkdir -p $out/bin
          cp target/*/release/cotter $out/bin/
        ''
      );
      pkgsOf = system:
        let
          pkgs = {
            callPackage = file: arguments:
              let function = import file;
              in function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments);
            fetchurl = { name, urls, sha256 }: import <nix/fetchurl.nix> { inherit name sha256; url = builtins.head urls; };
            mkShell = { packages, buildInputs }: run "shell" system "echo ${toString (packages ++ buildInputs)} > $out";
            rustPlatform.buildRustPackage = build system;
          } // builtins.listToAttrs (map (name: { inherit name; value = run name system "mkdir $out"; })
            [ "bubblewrap" "cargo" "clippy" "git" "nix" "rustc" "rustfmt" "strace" ]);
        in pkgs;
    in
    { legacyPackages = builtins.listToAttrs (map (name: { inherit name; value = pkgsOf name; }) [ "aarch64-linux" "x86_64-linux" ]); };
}
