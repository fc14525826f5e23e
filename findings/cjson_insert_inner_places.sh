#!/usr/bin/env bash
# cJSON 1.7.15-1+deb12u4 (Debian 12): cJSON_InsertItemInArray(array, i, item) inserts at the first place and appends at
# the end, but at every place between them it returns false and inserts nothing, in an array that the library's own calls
# have built. cJSON.h says of it: "Shifts pre-existing items to the right." A caller that does not look at the result
# loses the item.
# For us: scripts/check_style.sh refuses the call; lists are kept in order in our own structs and written out.
#
# Output seen ("place of n: result, array"):
#   0 of 3: true [9,0,1,2]
#   1 of 3: false [0,1,2]
#   2 of 3: false [0,1,2]
#   3 of 3: true [0,1,2,9]
# Needs: apt-get download, dpkg-deb, cc, on Debian 12 amd64. Ends with 0 as long as the behavior is the one above, 77 where
# this version can't be had.
set -euo pipefail
version=1.7.15-1+deb12u4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -q download "libcjson1=$version" "libcjson-dev=$version" >download.log 2>&1 || {
    echo "skipped: libcjson $version is not in this system's package lists"
    exit 77
}
for package in ./*.deb; do
    dpkg-deb -x "$package" root
done
cat >insert.c <<'C'
#include <cjson/cJSON.h>
#include <stdio.h>

int main(void)
{
    for (int at = 0; at <= 3; at++) {
        cJSON *array = cJSON_CreateArray(), *item = cJSON_CreateNumber(9);
        for (int i = 0; i < 3; i++)
            cJSON_AddItemToArray(array, cJSON_CreateNumber(i));
        int inserted = cJSON_InsertItemInArray(array, at, item);
        char *text = cJSON_PrintUnformatted(array);
        printf("%d of 3: %s %s\n", at, inserted ? "true" : "false", text);
        cJSON_free(text);
        if (!inserted)
            cJSON_Delete(item);
        cJSON_Delete(array);
    }
    return 0;
}
C
lib=$(dirname "$(find root -name 'libcjson.so' | head -n 1)")
cc -I root/usr/include insert.c -L "$lib" -lcjson -Wl,-rpath,"$work/$lib" -o insert
./insert | tee seen
diff - seen <<'EXPECTED'
0 of 3: true [9,0,1,2]
1 of 3: false [0,1,2]
2 of 3: false [0,1,2]
3 of 3: true [0,1,2,9]
EXPECTED
echo "as seen before: inner places are refused by cJSON $version"
