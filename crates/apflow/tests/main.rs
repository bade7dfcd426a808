//! What the facade promises, tried from outside.

mod readme;
