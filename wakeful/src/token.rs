use wakeful_kernel::readiness::UserData;

/// The caller's name for a registration, echoed in each of its events.
///
/// All of its bits are the caller's: an index, a slab key, a pointer. wakeful never looks at them.
///
/// ```
/// use wakeful::Token;
///
/// let token = Token(7);
/// assert_eq!(usize::from(token), 7);
/// assert_eq!(Token::from(7), token);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub usize);

impl From<Token> for usize {
    fn from(token: Token) -> usize {
        token.0
    }
}

impl From<usize> for Token {
    fn from(number: usize) -> Token {
        Token(number)
    }
}

impl UserData for Token {
    #[inline]
    fn from_u64(data: u64) -> Token {
        // A usize went in, so nothing is lost on the way out.
        Token(data as usize)
    }

    #[inline]
    fn into_u64(self) -> u64 {
        self.0 as u64
    }
}
