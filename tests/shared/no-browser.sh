#!/bin/sh
# Stands in place of a browser in the tests of failing launches: tells its process id and folder, says its last words,
# and then ends or waits forever. A file of the repository, since one just written may still be open for writing in a
# process that another test is forking, and then cannot be executed.
for arg; do
    case $arg in
    --tell=*) echo "$$ $TMPDIR" >"${arg#--tell=}" ;;
    --say=*) echo "${arg#--say=}" >&2 ;;
    --end=*) exit "${arg#--end=}" ;;
    esac
done
while :; do sleep 100; done
