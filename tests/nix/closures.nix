# Closures for the tests, in the way of Nixpkgs: programs with the loader and the libraries of other store paths, wrappers, scripts and modules.
# The arguments are directories: trees of cotter whose files and programs the builders use, and this directory.
{ tools, sysroot, gcc, python, sources }:
let
  tree = name: path: builtins.path { inherit name; path = builtins.toPath path; };
  toolsTree = tree "tools" tools;
  sysrootTree = tree "sysroot" sysroot;
  gccTree = tree "gcc" gcc;
  pythonTree = tree "python" python;
  text = tree "text" sources;
  build = name: script: derivation {
    inherit name;
    system = "x86_64-linux";
    builder = "${toolsTree}/bin/bash";
    # A last command would take the place of the shell, and Nix kills a builder that closes its output before it ends, as coreutils do.
    args = [ "-euc" "${script}\nexit 0" ];
    PATH = "${toolsTree}/bin";
  };
  # Copies a program as it is in its Debian package: behind the launcher of a tree.
  program = "program() { cp \"$1/usr/bin/.$2.real\" \"$3\"; chmod u+wx \"$3\"; }; ";
  patch = libraries: "patchelf --set-interpreter ${glibc}/lib/ld-linux-x86-64.so.2 --set-rpath ${libraries}";
  lib = "usr/lib/x86_64-linux-gnu";

  glibc = build "glibc-2.36" ''
    mkdir -p $out/lib/locale
    for f in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libutil.so.1 libgcc_s.so.1; do
      cp -L ${sysrootTree}/${lib}/$f $out/lib/
    done
    cp -r ${sysrootTree}/${lib}/gconv $out/lib/
    cp -r ${toolsTree}/usr/lib/locale/C.utf8 $out/lib/locale/
  '';
  libraries = build "libraries-1" ''
    mkdir -p $out/lib
    for f in libtinfo.so.6 libz.so.1 libexpat.so.1 libacl.so.1 libselinux.so.1 libpcre2-8.so.0 libcrypt.so.1 libssl.so.3 libcrypto.so.3; do
      cp -L ${sysrootTree}/${lib}/$f $out/lib/
      chmod u+w $out/lib/$f
      patchelf --set-rpath $out/lib:${glibc}/lib $out/lib/$f
    done
  '';
  bash = build "bash-5.2" ''
    ${program}
    mkdir -p $out/bin
    program ${toolsTree} bash $out/bin/bash
    ${patch "${glibc}/lib:${libraries}/lib"} $out/bin/bash
    ln -s bash $out/bin/sh
  '';
  coreutils = build "coreutils-9" ''
    ${program}
    mkdir -p $out/bin
    for p in cat env dirname basename ls readlink sort tr wc mkdir; do
      program ${toolsTree} $p $out/bin/$p
      ${patch "${glibc}/lib:${libraries}/lib"} $out/bin/$p
    done
  '';

  cc = "${gccTree}/bin/gcc -O1 -Wl,--dynamic-linker=${glibc}/lib/ld-linux-x86-64.so.2";
  greet = build "greet-1.0" ''
    mkdir -p $out/lib/pkgconfig $out/share/greet $out/include
    echo 'hello from a library' > $out/share/greet/words
    echo 'const char *greet(void);' > $out/include/greet.h
    ${cc} -shared -fPIC -DWORDS="\"$out/share/greet/words\"" ${text}/greet.c -o $out/lib/libgreet.so.1 -Wl,-soname,libgreet.so.1 -Wl,-rpath,$out/lib:${glibc}/lib
    ln -s libgreet.so.1 $out/lib/libgreet.so
    printf 'prefix=%s\nlibdir=%s/lib\nName: greet\nDescription: greets\nVersion: 1.0\nLibs: -L%s/lib -lgreet\nCflags: -I%s/include\n' $out $out $out $out > $out/lib/pkgconfig/greet.pc
  '';
  hello = build "hello-2.1" ''
    mkdir -p $out/bin $out/lib $out/libexec $out/share
    echo 'data of hello' > $out/share/data
    printf '#! ${bash}/bin/bash -e\necho "helper $*: $(${coreutils}/bin/cat %s/share/data)"\n' $out > $out/libexec/helper
    chmod +x $out/libexec/helper
    ${cc} -shared -fPIC ${text}/plug.c -o $out/lib/plug.so -L${greet}/lib -lgreet -Wl,-rpath,${greet}/lib:${glibc}/lib
    ${cc} -DOUT="\"$out\"" -DCAT="\"${coreutils}/bin/cat\"" ${text}/hello.c -o $out/bin/hello -L${greet}/lib -lgreet -Wl,-rpath,${greet}/lib:${glibc}/lib
    # The absolute name of a library, as a patched program has it.
    cp $out/bin/hello $out/bin/hello-needed
    patchelf --set-rpath ${glibc}/lib --replace-needed libgreet.so.1 ${greet}/lib/libgreet.so.1 $out/bin/hello-needed
    ln -s hello $out/bin/hello-link
  '';
  wrapped = build "wrapped-1" ''
    mkdir -p $out/bin
    # The C form of makeWrapper.
    ${cc} -DOUT="\"$out\"" -DHELLO="\"${hello}/bin/hello\"" -DPREFIX="\"${coreutils}/bin\"" ${text}/wrapper.c -o $out/bin/hello-binary -Wl,-rpath,${glibc}/lib
    # The shell form.
    {
      echo '#! ${bash}/bin/bash -e'
      echo "PATH=\''${PATH:+':'\$PATH':'}"
      echo "PATH=\''${PATH/':${coreutils}/bin:'/':'}"
      echo "PATH='${coreutils}/bin'\$PATH"
      echo 'PATH=''${PATH#:}'
      echo 'PATH=''${PATH%:}'
      echo 'export PATH'
      echo "export HELLO_WORDS='${greet}/share/greet/words'"
      echo "export LD_LIBRARY_PATH='${greet}/lib'"
      echo 'exec -a "$0" "${hello}/bin/hello" --extra "$@"'
    } > $out/bin/hello-shell
    chmod +x $out/bin/hello-shell
    # A program that finds its library by LD_LIBRARY_PATH alone.
    cp ${hello}/bin/hello-needed $out/bin/.hello-bare-wrapped
    chmod u+w $out/bin/.hello-bare-wrapped
    patchelf --replace-needed ${greet}/lib/libgreet.so.1 libgreet.so.1 $out/bin/.hello-bare-wrapped
    printf '#! ${bash}/bin/bash -e\nexport LD_LIBRARY_PATH=${greet}/lib\nexec -a "$0" "%s/bin/.hello-bare-wrapped" "$@"\n' $out > $out/bin/hello-bare
    chmod +x $out/bin/hello-bare
  '';
  static = build "static-1" ''
    mkdir -p $out/bin $out/share
    echo 'data of a static program' > $out/share/data
    ${gccTree}/bin/gcc -static -DDATA="\"$out/share/data\"" ${text}/static.c -o $out/bin/hello-static
  '';

  python3 = build "python3-3.11.2" ''
    ${program}
    mkdir -p $out/bin $out/include
    program ${pythonTree} python3.11 $out/bin/python3.11
    ${patch "${glibc}/lib:${libraries}/lib"} $out/bin/python3.11
    ln -s python3.11 $out/bin/python3
    ln -s python3 $out/bin/python
    mkdir $out/lib
    cp -r ${pythonTree}/usr/lib/python3.11 $out/lib/python3.11
    chmod -R u+w $out/lib
    rm -rf $out/lib/python3.11/__pycache__
    for f in $out/lib/python3.11/lib-dynload/{_ssl,_hashlib}.*.so; do
      patchelf --set-rpath ${glibc}/lib:${libraries}/lib $f
    done
    mkdir -p $out/lib/python3.11/site-packages
  '';
  module = build "python3.11-greeting-1" ''
    mkdir -p $out/lib/python3.11/site-packages/greeting $out/bin
    printf 'import os\nWORDS = "${greet}/share/greet/words"\n\n\ndef greet():\n    return open(WORDS).read().strip()\n' > $out/lib/python3.11/site-packages/greeting/__init__.py
    # As wrapPythonPrograms makes them.
    {
      echo '#!${python3}/bin/python3.11'
      echo "import sys;import site;import functools;sys.argv[0] = '$out/bin/greeting';functools.reduce(lambda k, p: site.addsitedir(p, k), ['$out/lib/python3.11/site-packages'], site._init_pathinfo());"
      cat ${text}/greeting.py
    } > $out/bin/.greeting-wrapped
    printf "#! ${bash}/bin/bash -e\nexport PATH='${coreutils}/bin'\''${PATH:+':'}\$PATH\nexport PYTHONNOUSERSITE='true'\nexec -a \"\$0\" \"$out/bin/.greeting-wrapped\" \"\$@\"\n" > $out/bin/greeting
    chmod +x $out/bin/.greeting-wrapped $out/bin/greeting
  '';
  # As python3.withPackages makes it: links, and a wrapper in C.
  pythonEnv = build "python3-3.11.2-env" ''
    mkdir -p $out/bin $out/lib/python3.11/site-packages
    ln -s ${module}/lib/python3.11/site-packages/greeting $out/lib/python3.11/site-packages/greeting
    for f in ${python3}/lib/python3.11/*; do
      [ -e $out/lib/python3.11/''${f##*/} ] || ln -s $f $out/lib/python3.11/
    done
    ${cc} -DOUT="\"$out\"" -DPYTHON="\"${python3}/bin/python3.11\"" ${text}/environment.c -o $out/bin/python3.11 -Wl,-rpath,${glibc}/lib
    ln -s python3.11 $out/bin/python3
    ln -s ${module}/bin/greeting $out/bin/greeting
  '';

  perl = build "perl-5.36" ''
    ${program}
    mkdir -p $out/bin $out/lib
    program ${toolsTree} perl $out/bin/.perl-wrapped
    ${patch "${glibc}/lib:${libraries}/lib"} $out/bin/.perl-wrapped
    cp -rL ${toolsTree}/usr/share/perl/5.36 $out/lib/perl5
    cp -rL ${toolsTree}/${lib}/perl/5.36 $out/lib/arch
    cp -rL ${toolsTree}/${lib}/perl-base $out/lib/base
    # An archive must not hold names that differ in case alone.
    chmod -R u+w $out/lib
    rm -rf $out/lib/arch/sys $out/lib/perl5/pod
    printf "#! ${bash}/bin/bash -e\nexport PERL5LIB='$out/lib/perl5:$out/lib/arch:$out/lib/base'\''${PERL5LIB:+':'}\$PERL5LIB\nexec -a \"\$0\" \"$out/bin/.perl-wrapped\" \"\$@\"\n" > $out/bin/perl
    chmod +x $out/bin/perl
  '';
  perlProgram = build "perl-words-1" ''
    mkdir -p $out/bin $out/lib/perl5/Words
    printf 'package Words::Count;\nuse strict;\nuse warnings;\nsub of { my $n = () = $_[0] =~ /\\S+/g; return $n }\n1;\n' > $out/lib/perl5/Words/Count.pm
    {
      echo '#!${perl}/bin/perl'
      echo "use lib '$out/lib/perl5';"
      echo "my \$words = '${greet}/share/greet/words';"
      echo "BEGIN { \$ENV{PATH} = '${coreutils}/bin' }"
      cat ${text}/words.pl
    } > $out/bin/words
    chmod +x $out/bin/words
  '';

  binutils = build "binutils-2.40" ''
    mkdir -p $out/bin $out/lib
    for f in libbfd-2.40-system.so libopcodes-2.40-system.so libctf-nobfd.so.0 libctf.so.0 libjansson.so.4 libsframe.so.0 libz.so.1 libzstd.so.1; do
      cp -L ${gccTree}/${lib}/$f $out/lib/
      chmod u+w $out/lib/$f
      patchelf --set-rpath $out/lib:${glibc}/lib $out/lib/$f
    done
    for p in as ar ld.bfd nm strip objcopy objdump ranlib readelf; do
      cp ${gccTree}/usr/bin/.x86_64-linux-gnu-$p.real $out/bin/$p
      chmod u+wx $out/bin/$p
      ${patch "${glibc}/lib:$out/lib"} $out/bin/$p
    done
    mv $out/bin/ld.bfd $out/bin/ld
  '';
  glibcDev = build "glibc-2.36-dev" ''
    mkdir -p $out/lib
    cp -rL ${sysrootTree}/usr/include $out/include
    chmod -R u+w $out/include
    cp -r $out/include/x86_64-linux-gnu/* $out/include/
    rm -rf $out/include/x86_64-linux-gnu
    for f in crt1.o Scrt1.o crti.o crtn.o libc_nonshared.a libc.a libm-2.36.a libmvec.a; do cp -L ${sysrootTree}/${lib}/$f $out/lib/; done
    echo "GROUP ( ${glibc}/lib/libc.so.6 $out/lib/libc_nonshared.a AS_NEEDED ( ${glibc}/lib/ld-linux-x86-64.so.2 ) )" > $out/lib/libc.so
    ln -s ${glibc}/lib/libm.so.6 $out/lib/libm.so
  '';
  gccUnwrapped = build "gcc-12.2.0" ''
    own=$out/lib/gcc/x86_64-linux-gnu/12
    from=${gccTree}/usr/lib/gcc/x86_64-linux-gnu/12
    mkdir -p $out/bin $own $out/include
    for f in libgmp.so.10 libisl.so.23 libmpc.so.3 libmpfr.so.6 libz.so.1 libzstd.so.1 libstdc++.so.6 libgcc_s.so.1; do
      cp -L ${gccTree}/${lib}/$f $out/lib/
      chmod u+w $out/lib/$f
      patchelf --set-rpath $out/lib:${glibc}/lib $out/lib/$f
    done
    ln -s libstdc++.so.6 $out/lib/libstdc++.so
    ln -s libgcc_s.so.1 $out/lib/libgcc_s.so
    for p in gcc g++ cpp; do
      cp ${gccTree}/usr/bin/.x86_64-linux-gnu-$p-12.real $out/bin/$p
      chmod u+wx $out/bin/$p
      ${patch "${glibc}/lib:$out/lib"} $out/bin/$p
    done
    for p in cc1 cc1plus collect2 lto1 lto-wrapper; do
      cp $from/.$p.real $own/$p
      chmod u+wx $own/$p
      ${patch "${glibc}/lib:$out/lib"} $own/$p
    done
    cp -L $from/*.o $from/libgcc.a $from/libgcc_eh.a $from/libstdc++.a $from/liblto_plugin.so $own/
    cp -r $from/include $own/include
    cp -r ${gccTree}/usr/include/c++ $out/include/c++
    chmod -R u+w $out/include
    cp -r ${gccTree}/usr/include/x86_64-linux-gnu/c++/12 $out/include/c++/12/x86_64-linux-gnu
  '';
  # In the way of cc-wrapper and bintools-wrapper.
  gccWrapped = build "gcc-wrapper-12.2.0" ''
    mkdir -p $out/bin $out/nix-support
    echo ${gccUnwrapped} > $out/nix-support/orig-cc
    echo ${glibc} > $out/nix-support/orig-libc
    echo ${glibcDev} > $out/nix-support/orig-libc-dev
    echo ${binutils} > $out/nix-support/orig-bintools
    echo ${glibc}/lib/ld-linux-x86-64.so.2 > $out/nix-support/dynamic-linker
    echo "-idirafter ${glibcDev}/include" > $out/nix-support/libc-cflags
    echo "-B${glibcDev}/lib" > $out/nix-support/libc-crt1-cflags
    echo "-L${glibcDev}/lib -L${glibc}/lib" > $out/nix-support/libc-ldflags
    echo "-L${gccUnwrapped}/lib" > $out/nix-support/cc-ldflags
    echo "-isystem ${gccUnwrapped}/include/c++/12 -isystem ${gccUnwrapped}/include/c++/12/x86_64-linux-gnu" > $out/nix-support/libcxx-cxxflags
    for p in gcc g++ cpp; do
      sed "s|@shell@|${bash}/bin/bash|; s|@out@|$out|; s|@prog@|${gccUnwrapped}/bin/$p|; s|@gcc@|${gccUnwrapped}|" ${text}/cc-wrapper.sh > $out/bin/$p
    done
    sed "s|@shell@|${bash}/bin/bash|; s|@out@|$out|; s|@prog@|${binutils}/bin/ld|" ${text}/ld-wrapper.sh > $out/bin/ld
    chmod +x $out/bin/*
    for p in as ar nm strip objcopy objdump ranlib readelf; do ln -s ${binutils}/bin/$p $out/bin/$p; done
    ln -s gcc $out/bin/cc
    ln -s g++ $out/bin/c++
  '';

  # Links to all programs, as a profile has them.
  profile = build "profile-1" ''
    mkdir -p $out/bin
    for p in ${hello} ${wrapped} ${static} ${module} ${perlProgram} ${coreutils}; do
      for f in $p/bin/*; do ln -s $f $out/bin/; done
    done
    printf '#!${coreutils}/bin/env bash\necho "by env: $(${bash}/bin/sh -c "echo $*")"\n' > $out/bin/by-env
    printf '#!/usr/bin/env sh\necho "by the env of the machine: $*"\n' > $out/bin/by-usr-env
    chmod +x $out/bin/by-env $out/bin/by-usr-env
    ln -s ${bash}/bin/bash $out/bin/bash
  '';
in { inherit profile pythonEnv gccWrapped hello wrapped greet python3 glibc perl; }
