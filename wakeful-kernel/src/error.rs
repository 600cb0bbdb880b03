//! One error type per operation: what was called, on what, the kernel's error, and what to do.

use std::io;

/// Turns the `-1` convention of C into a `Result`, taking the error from `errno`.
#[inline]
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// [`check`] for the calls that answer with a size.
#[inline]
pub(crate) fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Declares the error type of one operation.
///
/// `advice` is given the error and its errno and answers with a sentence that says what to do, or
/// with "" where the kernel's own words suffice.
macro_rules! operation_error {
    (
        $(#[$doc:meta])*
        $name:ident: $operation:literal $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })?
        $(, advice: $advice:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(pub(crate) $field: $type,)+)?
            pub(crate) source: std::io::Error,
        }

        impl $name {
            /// The C call that failed, as its manual page spells it.
            pub const OPERATION: &'static str = $operation;

            $($(
                $(#[$field_doc])*
                pub fn $field(&self) -> &$type {
                    &self.$field
                }
            )+)?

            /// The operating system's error, untouched.
            pub fn io_error(&self) -> &std::io::Error {
                &self.source
            }

            fn advice(&self) -> &'static str {
                #[allow(unused_mut, unused_assignments)]
                let mut sentence = "";
                $(
                    let advise: fn(&Self, i32) -> &'static str = $advice;
                    sentence = self.source.raw_os_error().map_or("", |errno| advise(self, errno));
                )?
                sentence
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(Self::OPERATION)?;
                $($(write!(f, concat!(", ", stringify!($field), " {:?}"), self.$field)?;)+)?
                write!(f, ": {}", self.source)?;
                match self.advice() {
                    "" => Ok(()),
                    sentence => write!(f, ": {sentence}"),
                }
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.source)
            }
        }

        impl From<$name> for std::io::Error {
            fn from(error: $name) -> Self {
                error.source
            }
        }
    };
}

/// As [`operation_error`], with its fields open, to be taken apart by patterns. Without braces it is a
/// tuple of the operating system's error.
// Only where there are event ports.
#[allow(unused_macros)]
macro_rules! open_error {
    (
        $(#[$doc:meta])*
        $name:ident: $operation:literal
        $(, advice: $advice:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(
            /// The operating system's error, untouched.
            pub std::io::Error,
        );

        impl $name {
            /// The C call that failed, as its manual page spells it.
            pub const OPERATION: &'static str = $operation;
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($operation, ": {}"), self.0)?;
                $(
                    let advise: fn(i32) -> &'static str = $advice;
                    match self.0.raw_os_error().map_or("", advise) {
                        "" => {}
                        sentence => write!(f, ": {sentence}")?,
                    }
                )?
                Ok(())
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }

        impl From<$name> for std::io::Error {
            fn from(error: $name) -> Self {
                error.0
            }
        }
    };
    (
        $(#[$doc:meta])*
        $name:ident: $operation:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }
        $(, advice: $advice:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The operating system's error, untouched.
            pub source: std::io::Error,
        }

        impl $name {
            /// The C call that failed, as its manual page spells it.
            pub const OPERATION: &'static str = $operation;
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(Self::OPERATION)?;
                $(write!(f, concat!(", ", stringify!($field), " {:?}"), self.$field)?;)*
                write!(f, ": {}", self.source)?;
                $(
                    let advise: fn(i32) -> &'static str = $advice;
                    match self.source.raw_os_error().map_or("", advise) {
                        "" => {}
                        sentence => write!(f, ": {sentence}")?,
                    }
                )?
                Ok(())
            }
        }

        impl std::error::Error for $name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.source)
            }
        }

        impl From<$name> for std::io::Error {
            fn from(error: $name) -> Self {
                error.source
            }
        }
    };
}
