# Ends what a launch started and removes what it wrote, as soon as stdin ends: because the fleet closed it, or because
# the fleet is gone, however it went. Arguments: the launch's mark, and its folder.
trap '' HUP INT TERM PIPE
mark=$1
folder=$2
groups=

while read -r what group; do
    case $what in
    watch) groups="$groups $group" ;;
    forget)
        kept=
        for known in $groups; do [ "$known" = "$group" ] || kept="$kept $known"; done
        groups=$kept
        ;;
    esac
done

for group in $groups; do kill -KILL "-$group" 2>/dev/null; done

# What left its group still carries the mark in its environment. A process forked meanwhile is caught by the next turn.
if [ -d /proc/self ]; then
    turns=0
    while [ $turns -lt 50 ] && found=$(grep -alsF "TABFLEET_FLEET=$mark" /proc/[0-9]*/environ 2>/dev/null); do
        [ -n "$found" ] || break
        for environ in $found; do
            process=${environ#/proc/}
            kill -KILL "${process%/environ}" 2>/dev/null
        done
        turns=$((turns + 1))
    done
fi

# A dying process may still write a file into a folder that is being removed.
turns=0
while [ -e "$folder" ] && [ $turns -lt 50 ]; do
    rm -rf -- "$folder" 2>/dev/null
    turns=$((turns + 1))
done
[ ! -e "$folder" ]
