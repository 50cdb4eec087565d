//! Real browsers: the catalogue, launching, opening and closing tabs, noticing death.
