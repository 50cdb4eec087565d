//! Pure decisions: queue, placement, tab lifecycle, recovery. No I/O, no clock: time is an argument.
