{
  description = "cotter pins the compilers, interpreters and libraries with which a project is built, byte for byte";

  # Any nixpkgs whose Rust is not older than `rust-version` in Cargo.toml.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "aarch64-linux" "x86_64-linux" ];
      perSystem = make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) systems);
      pkgsOf = system: nixpkgs.legacyPackages.${system};

      # What `lib.fromLock` gets: a lock, or a set with the lock and other arguments of nix/from-lock.nix, such as `mirrors`.
      fromLock = argument:
        let given = if builtins.isAttrs argument then argument else { lock = argument; };
        in perSystem (platform: import ./nix/from-lock.nix ({
          inherit platform;
          cotter = self.packages.${given.system or platform}.cotter;
          fetchurl = (pkgsOf (given.system or platform)).fetchurl;
        } // given));
    in
    {
      packages = perSystem (system: rec {
        cotter = (pkgsOf system).callPackage ./nix/package.nix { };
        default = cotter;
      });

      overlays.default = final: prev: { cotter = final.callPackage ./nix/package.nix { }; };

      lib = { inherit fromLock; };

      # What a change of cotter needs; docs/guides/nix.md names the tools of the tests.
      devShells = perSystem (system:
        let pkgs = pkgsOf system;
        in {
          default = pkgs.mkShell {
            packages = with pkgs; [ bubblewrap cargo clippy git nix rustc rustfmt strace ];
            buildInputs = if pkgs ? glibc.static then [ pkgs.glibc.static ] else [ ];
          };
        });

      # Neither needs more of nixpkgs than what builds cotter.
      checks = perSystem (system:
        let
          inherit (self.packages.${system}) cotter;
          lock = ./toolchains.lock;
          named = builtins.filter (tree: tree.platform == system) (builtins.fromTOML (builtins.readFile lock)).tree;
          has = tree: (fromLock lock).${system}.${tree.name}.outPath == "/nix/store/${tree.store_name}";
        in rec {
          inherit cotter;
          # The program runs: it writes its manual pages.
          manual = derivation {
            name = "cotter-manual";
            inherit system;
            builder = "${cotter}/bin/cotter";
            args = [ "man" (builtins.placeholder "out") ];
          };
          # The trees of the lock of this repository have the names that the lock states.
          from-lock = assert named != [ ] && builtins.all has named; manual;
        });

      templates.default = {
        # As a text, since Nix 2.8 refuses a path of a store that is not at /nix/store.
        path = "${self}/examples/nix";
        description = "A project whose toolchains are those of toolchains.lock";
      };
    };
}
