#!/usr/bin/env bash
# build-rootfs.sh DEST DEBS: a minimal "Android phone" root file system around Debian trixie's real adbd, toybox and mksh,
# and beside it DEST/../bin/adb, an adb 34 for this host. Nothing is installed on the host; its apt state is untouched.
# Needs apt-get, dpkg-deb, tar, gcc, python3 and 11 MB from the mirror that this machine's own apt uses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1
base=$(dirname "$root")
debs=$2 # what was downloaded, kept
suite=trixie
want="adbd toybox mksh adb"

[ "$(dpkg --print-architecture)" = amd64 ] || { echo "this rig knows amd64 only" >&2; exit 3; }
mkdir -p "$debs"

# Downloads happen with private lists and an EMPTY dpkg status, so apt resolves the whole closure.
fetch() {
  local mirror a
  mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/*$')}
  a=$(mktemp -d)
  trap 'rm -rf "$a"' RETURN
  mkdir -p "$a"/{lists/partial,state,cache/archives/partial}
  : > "$a/state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$a/sources.list"
  cat > "$a/apt.conf" <<C
Dir::Etc::sourcelist "$a/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$a/state";
Dir::State::lists "$a/lists";
Dir::State::status "$a/state/status";
Dir::Cache "$a/cache";
APT::Architecture "amd64";
APT::Install-Recommends "false";
Acquire::Languages "none";
APT::Sandbox::User "root";
Debug::NoLocking "true";
C
  APT_CONFIG="$a/apt.conf" apt-get -qq update
  # shellcheck disable=SC2086
  APT_CONFIG="$a/apt.conf" apt-get -qq -y --download-only install $want
  mv "$a"/cache/archives/[!a]*.deb "$debs"/
  mv "$a"/cache/archives/a*.deb "$debs"/ # adbd last: it says that all are there
}
ls "$debs"/adbd_*.deb >/dev/null 2>&1 || fetch

rm -rf "$root"
# merged-/usr links first, so that ld.so lands where the ELF interpreter path expects it
mkdir -p "$root"/usr/{lib,lib64,bin,sbin}
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
for deb in "$debs"/*.deb; do
  case $(basename "$deb") in gcc-14-base* | android-udev-rules*) continue ;; esac
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
    --exclude='./usr/share/*' --exclude='./usr/lib/x86_64-linux-gnu/gconv' --exclude='./usr/lib/locale' \
    --exclude='./usr/lib/diet' --exclude='./usr/lib/klibc' --exclude='./usr/lib/x86_64-linux-musl' \
    --exclude='./usr/lib/systemd' --exclude='./etc/*'
done
rm -rf "$root/etc"

# Android's layout
mkdir -p "$root"/{system/bin,system/etc,system/lib64,dev,proc,mnt,data/local/tmp,data/phone,data/misc/adb}
mkdir -p "$root"/{storage/emulated/0,storage/self,etc,root}
ln -s /storage/emulated/0 "$root/storage/self/primary"
ln -s /storage/self/primary "$root/sdcard"
ln -s /system/bin "$root/bin"
cp "$root/usr/bin/mksh" "$root/system/bin/sh"
cp "$root/usr/bin/toybox" "$root/system/bin/toybox"
cp "$root/usr/lib/android-sdk/platform-tools/adbd" "$root/system/bin/adbd"
python3 "$here/adbd_auth.py" "$root/system/bin/adbd" "$root/system/bin/adbd-auth"
lib=$root/usr/lib/x86_64-linux-gnu
loader="$root/usr/lib64/ld-linux-x86-64.so.2"
for applet in $("$loader" --library-path "$lib:$lib/android" "$root/system/bin/toybox"); do
  [ -e "$root/system/bin/$applet" ] || ln -s toybox "$root/system/bin/$applet"
done
gcc -O2 -shared -fPIC -o "$root/system/lib64/libphoneshim.so" "$here/shim.c" -ldl
for stub in "$here"/stubs/*; do
  rm -f "$root/system/bin/$(basename "$stub")"
  install -m 755 "$stub" "$root/system/bin/"
done
cp "$here/build.prop" "$root/system/build.prop"
cp "$here/mkshrc" "$root/system/etc/mkshrc"
cat > "$root/etc/passwd" <<E
root:x:0:0:root:/:/system/bin/sh
system:x:1000:1000:system:/:/system/bin/sh
shell:x:2000:2000:shell:/:/system/bin/sh
u0_a123:x:10123:10123:u0_a123:/:/system/bin/sh
E
cat > "$root/etc/group" <<E
root:x:0:
system:x:1000:
adb:x:1011:
sdcard_rw:x:1015:
media_rw:x:1023:
ext_data_rw:x:1078:
shell:x:2000:
everybody:x:9997:
u0_a123:x:10123:
E
# the host's adb, run through the phone's ld.so: it cannot start its own server (/proc/self/exe is ld.so),
# so whoever wants one runs `bin/adb -P PORT nodaemon server`
mkdir -p "$base/bin"
printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$lib:$lib/android" \
  "$root/usr/lib/android-sdk/platform-tools/adb" > "$base/bin/adb"
chmod 755 "$base/bin/adb"
