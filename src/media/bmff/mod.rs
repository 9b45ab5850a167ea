//! Boxes of ISO/IEC 14496-12: headers and the dozen that are read.
