//! Any of the heads, chosen at run time.

/// Makes the [`AnyHead`](super::AnyHead) enum, its names and its dispatch from one list.
macro_rules! any_head {
    ($($name:literal => $module:ident::$Name:ident),* $(,)?) => {
        $(
            pub use $module::$Name;

            impl $Name {
                /// The head's name.
                pub const NAME: &'static str = $name;
            }
        )*

        /// Any of the heads, chosen at run time.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(tag = "name"))]
        pub enum AnyHead {
            $(
                #[doc = concat!("See [`", stringify!($module), "`].")]
                #[cfg_attr(feature = "serde", serde(rename = $name))]
                $Name($Name)
            ),*
        }

        impl AnyHead {
            /// The name and the training logits of every head.
            pub const LIST: &'static [(&'static str, &'static str)] = &[$(($Name::NAME, <$Name as NamedHead>::FORMULA)),*];

            /// The name of the type of the head called `name`; `None` if there is no such head.
            pub fn type_of(name: &str) -> Option<&'static str> {
                match name {
                    $($Name::NAME => Some(stringify!($Name)),)*
                    _ => None,
                }
            }

            /// The options that the head called `name` takes; `None` if there is no such head.
            pub fn options_of(name: &str) -> Option<Vec<OptionInfo>> {
                match name {
                    $($Name::NAME => Some(options::options_of::<$Name>()),)*
                    _ => None,
                }
            }

            /// The head called `name` with `options` by name, as text, and its defaults for the rest.
            ///
            /// # Errors
            /// [`Error::UnknownHead`], [`Error::UnknownOption`] for an option that the head does not have, [`Error::Setting`] for a
            /// value that is not of its kind, [`Error::HyperParameter`] for one out of range.
            pub fn new(name: &str, options: &[(&str, &str)]) -> Result<Self> {
                match name {
                    $($Name::NAME => options::with_options(options).map(Self::$Name),)*
                    _ => {
                        let expected = Self::names().collect::<Vec<_>>().join(", ");
                        Err(Error::UnknownHead { name: name.into(), expected })
                    }
                }
            }
        }

        impl Head for AnyHead {
            fn name(&self) -> &'static str {
                match self { $(Self::$Name(_) => $Name::NAME),* }
            }

            fn check(&self, classes: usize) -> Result<()> {
                match self { $(Self::$Name(head) => head.check(classes)),* }
            }

            fn scale(&self) -> Scale {
                match self { $(Self::$Name(head) => head.scale()),* }
            }

            fn bound_scale(&mut self, largest: f64) {
                match self { $(Self::$Name(head) => head.bound_scale(largest)),* }
            }

            fn count_classes(&mut self, sizes: &[usize]) {
                match self { $(Self::$Name(head) => head.count_classes(sizes)),* }
            }

            fn geometry(&self) -> Geometry {
                match self { $(Self::$Name(head) => head.geometry()),* }
            }

            fn loss(&self) -> Loss {
                match self { $(Self::$Name(head) => head.loss()),* }
            }

            fn initial_threshold(&self, classes: usize) -> f64 {
                match self { $(Self::$Name(head) => head.initial_threshold(classes)),* }
            }

            fn centres(&self) -> usize {
                match self { $(Self::$Name(head) => head.centres()),* }
            }

            fn centre_temperature(&self) -> Option<f64> {
                match self { $(Self::$Name(head) => head.centre_temperature()),* }
            }

            fn state(&self) -> &'static [StateValue] {
                match self { $(Self::$Name(head) => head.state()),* }
            }

            fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
                match self { $(Self::$Name(head) => head.observe(rows, state)),* }
            }

            fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
                match self { $(Self::$Name(head) => head.target(row, state)),* }
            }

            fn others<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Option<OthersRule<F>> {
                match self { $(Self::$Name(head) => head.others(row, state)),* }
            }

            fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
                match self { $(Self::$Name(head) => head.penalty(norm)),* }
            }
        }

        $(
            impl From<$Name> for AnyHead {
                fn from(head: $Name) -> Self {
                    Self::$Name(head)
                }
            }
        )*
    };
}

pub(super) use any_head;
