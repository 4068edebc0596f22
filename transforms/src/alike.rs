//! What transforms of all kinds say of themselves in the same way, by their `spec` and their `record`.

/// The accessors of `Transform`, in its implementation for a kind.
macro_rules! alike {
    ($kind:ident) => {
        fn name(&self) -> &str {
            &self.spec.name
        }

        fn kind(&self) -> ::pop3d_core::transform::Kind {
            ::pop3d_core::transform::Kind::$kind
        }

        fn policy(&self) -> ::pop3d_core::transform::Policy {
            self.spec.policy
        }

        fn count_passed(&self) {
            self.record.count_passed();
        }
    };
}

pub(crate) use alike;
