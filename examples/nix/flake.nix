{
  description = "A project whose toolchains are those of toolchains.lock";

  # Where cotter comes from: a checkout, or the address of its repository.
  inputs.cotter.url = "git+file:///path/to/cotter";

  outputs = { self, cotter }: {
    # `nix build .#tools` makes it. With cotter, `cotter setup` makes the same bytes under the same name.
    # Mirrors are asked before the archive of old files of Debian: { debian = [ "https://mirror.example.com/debian" ]; }.
    packages = cotter.lib.fromLock { lock = ./toolchains.lock; mirrors = { }; };

    # A derivation that uses it, without anything of nixpkgs.
    checks = builtins.mapAttrs
      (system: toolchains: {
        counted = derivation {
          name = "counted";
          inherit system;
          builder = "${toolchains.tools}/bin/dash";
          args = [ "-c" "echo [1,2,3] | ${toolchains.tools}/bin/jq length > $out" ];
        };
      })
      self.packages;
  };
}
