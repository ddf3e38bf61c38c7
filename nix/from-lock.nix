# Turns a lock of cotter into derivations, one for each toolchain of a platform. Each has the store name that the lock states, because
# Nix and cotter compute it from the same hash: what one of them has made is valid for the other. Nothing of nixpkgs is needed.
# docs/guides/nix.md describes the use.
{
  # toolchains.lock, as a path.
  lock,
  # A directory with bin/cotter, as `packages.<system>.cotter` of the flake is one.
  cotter,
  # The platform whose toolchains are wanted.
  platform ? builtins.currentSystem,
  # The machine that composes them, which may be another one: no program of a tree is run.
  system ? platform,
  # The addresses that take the place of `mirror://<family>`: { debian = [ "https://mirror.example.com/debian" ]; }. A function gets the
  # path below it, and returns addresses. Old files of Debian are asked for below `snapshot`, too.
  mirrors ? { },
  # Fetches a file: { name, urls, sha256 } to a path. That of Nix itself tries the first address alone; `fetchurl` of nixpkgs tries all.
  fetchurl ? ({ name, urls, sha256 }: import <nix/fetchurl.nix> { inherit name sha256; url = builtins.head urls; }),
}:
let
  inherit (builtins) all attrValues concatMap elemAt filter fromJSON fromTOML head isFunction isList listToAttrs map match placeholder readFile replaceStrings stringLength substring toString;

  # 1 is a form that no cotter writes any more.
  read =
    let it = fromTOML (readFile lock);
    in if it.version or 0 == 2 then it
    else throw "${toString lock} is a lock of version ${toString (it.version or 0)}, and this file reads version 2: run `cotter lock`, or take the flake of a newer cotter";

  trees = filter (tree: tree.platform == platform) (read.tree or [ ]);

  # Trees that are needed to make another one run where it is made.
  treeOf = name: where:
    let found = filter (tree: tree.name == name && tree.platform == where) read.tree;
    in if found == [ ] then throw "${toString lock} has no ${name} for ${where}: add the platform to the manifest and run `cotter lock`"
    else head found;

  # The day after a date, in the form of the archive of old files of Debian: files enter it some hours after a release, and they leave
  # the mirrors some days after it at the earliest.
  dayAfter = date:
    let
      parts = map number (match "([0-9]{4})-([0-9]{2})-([0-9]{2})T.*" date);
      # The text may begin with a zero, which is no number of JSON.
      number = text: fromJSON (head (match "0*([0-9]+)" text));
      year = elemAt parts 0;
      month = elemAt parts 1;
      day = elemAt parts 2;
      divides = n: year / n * n == year;
      leap = divides 4 && (!divides 100 || divides 400);
      days = if month == 2 then (if leap then 29 else 28) else if month == 4 || month == 6 || month == 9 || month == 11 then 30 else 31;
      two = n: if n < 10 then "0${toString n}" else toString n;
      next =
        if day < days then { inherit year month; day = day + 1; }
        else if month < 12 then { inherit year; month = month + 1; day = 1; }
        else { year = year + 1; month = 1; day = 1; };
    in "${toString next.year}${two next.month}${two next.day}T${replaceStrings [ ":" ] [ "" ] (substring 11 8 date)}Z";

  # The addresses of old files, which Debian never deletes: those of `mirrors.snapshot`, and the public one.
  archived = tree: family: path:
    let
      named = mirrors.snapshot or [ ];
      below = "archive/${family}/${dayAfter newest}/${path}";
      asked =
        if isFunction named then named below
        else map (base: "${withoutSlash base}/${below}") (if isList named then named else [ named ]);
      dates = map (release: release.date) (filter (release: match "debian.*" release.archive != null) (tree.releases or [ ]));
      newest = builtins.foldl' (a: b: if a < b then b else a) "" dates;
    in if match "debian.*" family == null || newest == "" then [ ]
    else asked ++ [ "https://snapshot.debian.org/${below}" ];

  withoutSlash = base: head (match "(.*[^/])/*" base);

  # The characters of a path that an address must not contain as they are. Names of Debian have these alone.
  encode = replaceStrings [ "%" " " "#" "?" ] [ "%25" "%20" "%23" "%3F" ];

  # The addresses of a location of the lock. A file of the project has none.
  expand = tree: location:
    let
      parts = match "mirror://([^/]+)/(.*)" location;
      family = elemAt parts 0;
      path = elemAt parts 1;
      named = mirrors.${family} or [ ];
      bases = if isList named then named else [ named ];
    in
    if parts == null then [ location ]
    else if isFunction named then named path
    else map (base: "${base}/${encode path}") bases ++ archived tree family (encode path);

  # A name that a store may have: of the last part of an address, what no name contains is replaced.
  nameOf = location:
    let
      base = elemAt (match "(.*/)?([^/?#]+).*" location) 1;
      allowed = builtins.concatStringsSep "" (map (c: if match "[a-zA-Z0-9+._=-]" c != null then c else "-") (chars base));
      plain = if substring 0 1 allowed == "." then "_${allowed}" else allowed;
    in if stringLength plain > 200 then substring (stringLength plain - 200) 200 plain else plain;
  chars = text: builtins.genList (i: substring i 1 text) (stringLength text);

  file = tree: input:
    let
      locations = if input ? urls then input.urls else [ input.url ];
      own = filter (location: substring 0 2 location == "./") locations;
      urls = concatMap (expand tree) (filter (location: substring 0 2 location != "./") locations);
    in
    if own != [ ] then
      builtins.path {
        name = nameOf (head own);
        path = dirOf lock + "/${substring 2 (stringLength (head own)) (head own)}";
        recursive = false;
        sha256 = input.sha256;
      }
    else if urls == [ ] then
      throw "no mirror is known for ${head locations} of ${tree.name}: name one, as in mirrors = { ${elemAt (match "mirror://([^/]+)/.*" (head locations)) 0} = [ \"https://...\" ]; }"
    else fetchurl { name = nameOf (head locations); inherit urls; inherit (input) sha256; };

  # The trees whose inputs are needed: this one, and, if a wheel must be built, those by which it is built.
  needed = tree:
    if all (input: !(input ? built)) tree.inputs then [ tree ]
    else [ tree ] ++ concatMap (name: needed (treeOf name system)) (tree.uses.make or [ ]);

  inputs = tree:
    let
      pairs = concatMap (one: map (input: { name = input.sha256; value = file one input; }) one.inputs) (needed tree);
    # One for each content.
    in attrValues (listToAttrs pairs);

  isClosure = tree: tree.inputs != [ ] && (head tree.inputs) ? nix;

  derive = tree:
    # The paths of a closure are those of Nix: the store has them, or a cache that Nix asks.
    if isClosure tree then builtins.storePath (head tree.inputs).nix.path
    else derivation {
      # What stands behind the hash and its dash.
      name = substring 33 (stringLength tree.store_name) tree.store_name;
      inherit system;
      builder = "${cotter}/bin/cotter";
      args = [ "__compose" (builtins.path { name = "toolchains.lock"; path = lock; recursive = false; }) tree.name tree.platform (placeholder "out") ] ++ inputs tree;
      outputHashMode = "recursive";
      outputHashAlgo = "sha256";
      outputHash = tree.nar_hash;
      preferLocalBuild = true;
    };
in
listToAttrs (map (tree: { inherit (tree) name; value = derive tree; }) trees)
