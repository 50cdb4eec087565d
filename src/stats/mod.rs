//! Statistics: numbers in, numbers out, without I/O, clock or database. Each method's source is named where it stands,
//! and its tests compare with values of R or SciPy.
