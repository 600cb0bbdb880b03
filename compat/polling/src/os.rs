//! What only some systems have. On this one there is nothing.
