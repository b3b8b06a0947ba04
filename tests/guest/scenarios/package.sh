# shellcheck shell=bash
# The package alone: what it installs is in order, and after it is removed everything is as before.
. /scenario/guest/lib.sh
. /scenario/guest/units.sh
topology A

# What of jool-tools differs from its package.
changes() { dpkg --verify jool-tools; }
[ -z "$(changes)" ] || fail "jool-tools is not whole to begin with"
stock=$(sha256sum </usr/bin/joold)
install_package
! grep -i -e warning -e error "$LOGS/dpkg.log" || fail "dpkg complained"
[ "$(sha256sum </usr/bin/joold.jool-tools)" = "$stock" ] || fail "jool-tools' joold is not kept"
/usr/bin/joold --version | grep -q '^joold ' || fail "/usr/bin/joold is not the package's"
[ -z "$(dpkg --verify joold)" ] || fail "the package is not whole: $(dpkg --verify joold)"
id joold >/dev/null || fail "there is no user joold"
journalctl --list-catalog | grep -q 'joold: ' || fail "the journal's catalogue has no entry of joold"
for page in man8/joold.8 man8/jooldctl.8 man5/joold.json.5 man5/mx.jool.Joold1.5; do
    [ -f "/usr/share/man/$page.gz" ] || fail "there is no manual page $page"
done
for completion in joold jooldctl; do
    bash -n "/usr/share/bash-completion/completions/$completion" || fail "bash cannot read the completion of $completion"
done
say "installed beside jool-tools"

# Over itself.
install_package
! grep -i -e warning -e error "$LOGS/dpkg.log" || fail "dpkg complained of an upgrade"
[ "$(sha256sum </usr/bin/joold.jool-tools)" = "$stock" ] || fail "an upgrade has not kept jool-tools' joold"
[ -z "$(dpkg --verify joold)" ] || fail "the package is not whole after an upgrade: $(dpkg --verify joold)"
[ "$(dpkg-divert --list | grep -c joold)" = 2 ] || fail "an upgrade diverts anew"
say "upgraded"

# Nobody has man-db here.
verify=$(systemd-analyze verify --man=no joold@eth0.service joold@eth0.socket 2>&1) || fail "verify: $verify"
[ -z "$verify" ] || fail "systemd-analyze verify is not silent: $verify"
exposure=$(systemd-analyze security --no-pager --threshold=15 joold@eth0.service) || fail "${exposure##*→}"
say "exposure: ${exposure##*→}"

unit_in A sA
systemctl enable --quiet --now joold@sA
synchronises sA || fail "joold@sA is not up"

# The generator: files of every kind, none of which stops it.
echo '{ "multicast port": 6464 }' >'/etc/joold/veth+1.json'
echo '{' >/etc/joold/broken.json
mkfifo /etc/joold/pipe.json
mkdir /etc/joold/folder.json
systemctl daemon-reload
listen=$(systemctl show --value --property Listen 'joold@veth\x2b1.socket')
[ "$listen" = '[ff15::6a6f:6f6c]:6464 (Datagram)' ] || fail "joold@veth\x2b1.socket listens on $listen"
[ "$(find /run/systemd/generator -type d -name 'joold@*' | wc -l)" = 1 ] || fail "more drop-ins than configurations"
rm -r /etc/joold/broken.json /etc/joold/pipe.json /etc/joold/folder.json

# repack VERSION TEXT: jool-tools as it is installed, with that version and that text at the end of its joold.
repack() {
    local folder=$LOGS/$1 path
    dpkg -L jool-tools | grep ^/ | while read -r path; do
        if [ ! -d "$path" ] || [ -L "$path" ] && [ ! -d "$path/" ]; then
            mkdir -p "$folder${path%/*}"
            cp -a "$(dpkg-divert --truename "$path")" "$folder$path"
        fi
    done
    printf '%s' "$2" >>"$folder/usr/bin/joold"
    mkdir "$folder/DEBIAN"
    dpkg-query --showformat='Package: ${Package}\nVersion: VERSION\nArchitecture: ${Architecture}\nMaintainer: ${Maintainer}\nDepends: ${Depends}\nDescription: ${Description}\n' \
        --show jool-tools | sed "s/VERSION/$1/" >"$folder/DEBIAN/control"
    dpkg-deb --build --root-owner-group -Zgzip "$folder" "$folder.deb" >/dev/null
}
# jool-tools is upgraded meanwhile: its files go to the side.
version=$(dpkg-query --showformat='${Version}' --show jool-tools)
repack "$version" ''
repack "$version+newer" newer
undo() { dpkg -i "$LOGS/$version.deb" >/dev/null 2>&1; }
dpkg -i "$LOGS/$version+newer.deb" >"$LOGS/newer.log" 2>&1 || { cat "$LOGS/newer.log"; fail "jool-tools cannot be upgraded"; }
[ -z "$(dpkg --verify joold)" ] || fail "an upgrade of jool-tools has changed files of joold's: $(dpkg --verify joold)"
newer=$(sha256sum </usr/bin/joold.jool-tools)
[ "$newer" != "$stock" ] || fail "an upgrade of jool-tools has not got to its joold"
synchronises sA || fail "joold@sA is not up after an upgrade of jool-tools"

dpkg -r joold >"$LOGS/remove.log" 2>&1 || { cat "$LOGS/remove.log"; fail "the package cannot be removed"; }
is joold@sA.service inactive || fail "joold@sA runs without its package"
[ "$(sha256sum </usr/bin/joold)" = "$newer" ] || fail "jool-tools has not got its joold back"
[ -z "$(changes)" ] || fail "jool-tools is not whole after the removal: $(changes)"
! dpkg-divert --list | grep joold || fail "a diversion is left"
[ -f '/etc/joold/veth+1.json' ] || fail "a removal takes the configuration away"
dpkg --purge joold >"$LOGS/purge.log" 2>&1 || { cat "$LOGS/purge.log"; fail "the package cannot be purged"; }
left=$(find /etc /usr/bin /usr/lib /usr/share /var/lib/systemd -iname '*joold*' -not -name '*jool-tools*' \
    -not -path /usr/bin/joold -not -path '/usr/share/man/man8/joold.8.gz' -not -path '/usr/share/doc/*')
[ -z "$left" ] || fail "left after the purge: $left"
# bookworm's dpkg knows folders of systemd's as /lib/systemd/… only, and says that ours is not empty.
! grep -hi -e warning -e error "$LOGS/remove.log" "$LOGS/purge.log" | grep -v 'not empty so not removed' || fail "dpkg complained"
say "removed and purged, and jool-tools is whole"
