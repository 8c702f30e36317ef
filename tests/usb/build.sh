#!/usr/bin/env bash
# build.sh OUT CACHE REQUIREMENTS: the guest's vmlinuz, initrd and rootfs.ext4 in OUT; downloads are kept in CACHE.
# Debian trixie by this machine's own apt and pip: systemd, udev, a session bus, adb, an MTP responder, jmtpfs, and in
# /opt/usbsync a venv with what usbsync depends on. /phone is the Android userland of tests/rigs/adbd. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1 cache=$2 requirements=$3
suite=trixie
mkdir -p "$out" "$cache"
work=$(mktemp -d -p "$out" work.XXXX) # beside the result: /tmp may be small, or mounted nodev
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
root=$work/root
site() { apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 "$1/*\$"; }
debian="deb $(site /debian) $suite main"
security="deb $(site /debian-security) $suite-security main"
logged() { "$@" >> "$out/build.log" 2>&1 || { tail -20 "$out/build.log" >&2; exit 1; }; }
say() { printf '  image: %s (%d s)\n' "$*" $SECONDS; }

# ---- the kernel: unpacked, not installed (no initramfs-tools, no firmware)
apt=$work/apt
mkdir -p "$apt"/{etc/apt.conf.d,etc/preferences.d,lists/partial,archives/partial}
touch "$apt/status"
printf '%s\n%s\n' "$debian" "$security" |
  sed 's|^deb |deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |' > "$apt/etc/sources.list"
cat > "$apt/apt.conf" <<E
Dir::Etc "$apt/etc"; Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::Cache "$apt";
APT::Architecture "amd64"; APT::Sandbox::User "root"; Acquire::Languages "none";
E
(
  export APT_CONFIG=$apt/apt.conf
  apt-get -qq update
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/{print $2; exit}')
  cd "$cache"
  ls "${package}"_*.deb > /dev/null 2>&1 || { rm -f linux-image-*.deb; apt-get -qq download "$package"; }
)
mkdir "$work/kernel"
dpkg-deb -x "$cache"/linux-image-*.deb "$work/kernel"
version=$(basename "$work"/kernel/boot/vmlinuz-*)
version=${version#vmlinuz-}
cp "$work/kernel/boot/vmlinuz-$version" "$out/vmlinuz"
say "kernel $version"

# ---- the system
packages=systemd,systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,kmod,iproute2,procps,login,util-linux,sudo
packages+=,adb,usbutils,umtp-responder,mtp-tools,jmtpfs,fuse3,libmtp-runtime
packages+=,python3,python3-venv,libusb-1.0-0,libnss-systemd
logged mmdebstrap --variant=minbase --include="$packages" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --skip=check/empty \
  "$suite" "$root" "$debian" "$security"
say "system, $(du -sm "$root" | cut -f1) MiB"

# ---- its kernel modules: all of USB, and what the disk, the share and FUSE need
modules=usr/lib/modules/$version
mkdir -p "$root/$modules"
(
  cd "$work/kernel/$modules"
  cp modules.order modules.builtin modules.builtin.modinfo "$root/$modules/"
  for part in drivers/usb drivers/hid drivers/block drivers/virtio drivers/net/virtio_net.ko.xz \
    drivers/net/net_failover.ko.xz drivers/char net/core net/9p fs/9p fs/ext4 fs/jbd2 fs/fuse fs/netfs fs/fat \
    fs/mbcache.ko.xz fs/configfs fs/autofs fs/nls lib crypto arch/x86/crypto net/ipv4 net/unix; do
    [ ! -e "kernel/$part" ] || cp -a --parents "kernel/$part" "$root/$modules/"
  done
)
chroot "$root" depmod "$version"

# ---- usbsync's dependencies for the guest's Python; the chroot's own pip proves that they are complete
python=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
platforms=$(printf -- '--platform manylinux_2_%s_x86_64 ' 5 12 17 24 26 27 28 31 34 35 36 39)
mkdir -p "$cache/wheels"
# published as source only, and pip makes no wheels for another Python while it downloads
logged pip -q wheel --disable-pip-version-check --no-deps -w "$cache/wheels" 'adb-shell>=0.4.4'
# shellcheck disable=SC2086
logged pip -q download --disable-pip-version-check -d "$cache/wheels" --only-binary=:all: --python-version "$python" \
  --find-links "$cache/wheels" $platforms --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -r "$requirements"
mkdir -p "$root/wheels" "$root/rig" "$root/mnt/host"
cp "$cache"/wheels/*.whl "$root/wheels/"
cp "$requirements" "$root/wheels/requirements"
chroot "$root" useradd -m -u 1000 -s /bin/bash laptop
chroot "$root" usermod -p '' laptop
chroot "$root" useradd -m -u 1001 -s /bin/bash other # somebody else, who has no seat
chroot "$root" python3 -m venv /opt/usbsync
logged chroot "$root" /opt/usbsync/bin/pip -q install --no-index --find-links /wheels -r /wheels/requirements
chroot "$root" chown -R laptop: /opt/usbsync
rm -rf "$root/wheels"
say "Python $python with usbsync's dependencies"

# ---- the phone's own userland
"$here/../rigs/adbd/build-rootfs.sh" "$work/android/phone" "$cache/android"
gcc -O1 -shared -fPIC -o "$work/android/phone/system/lib64/libunplug.so" "$here/unplug.c"
mkdir -p "$work/android/phone/data/misc/adb"
mv "$work/android/phone" "$root/phone"
say "Android's userland"

# ---- what starts in it: rig.target, which runs the job
echo usbrig > "$root/etc/hostname"
echo '127.0.0.1 localhost usbrig' > "$root/etc/hosts"
echo '/dev/vda / ext4 rw,noatime 0 0' > "$root/etc/fstab"
printf '0123456789abcdef0123456789abcdef\n' > "$root/etc/machine-id"
echo 'LANG=C.UTF-8' > "$root/etc/default/locale"
echo 'laptop ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/laptop"
install -m 755 "$here"/guest/run-job "$root/rig/"
install -m 644 "$here"/guest/rig.service "$here"/guest/rig.target "$root/etc/systemd/system/"
for unit in adbd umtp-responder apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap fstrim.timer systemd-timesyncd getty@tty1 systemd-update-utmp systemd-random-seed systemd-firstboot \
  systemd-journal-flush systemd-hwdb-update ldconfig systemd-sysusers systemd-update-done dev-hugepages.mount \
  dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-pcrmachine; do
  case $unit in *.*) ;; *) unit=$unit.service ;; esac
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# ---- initrd: busybox and the modules of the disk
mkdir -p "$work"/initrd/{bin,m,dev,proc,new}
cp /bin/busybox "$work/initrd/bin/"
install -m 755 "$here/guest/initrd-init" "$work/initrd/init"
number=10
for module in virtio_blk ext4; do chroot "$root" modprobe -S "$version" --show-depends $module; done |
  awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r file; do
  number=$((number + 1))
  xz -dc "$root$file" > "$work/initrd/m/$number-$(basename "${file%.xz}")"
done
(cd "$work/initrd" && find . | cpio -o -H newc --quiet) > "$out/initrd"

logged mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -m 0 -d "$root" "$out/rootfs.ext4" \
  $(($(du -sm "$root" | cut -f1) + 600))M
say "disk, $(du -m "$out/rootfs.ext4" | cut -f1) MiB"
