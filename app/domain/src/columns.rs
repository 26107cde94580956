//! A record's columns, listed once for its struct and for the rows of queries.

/// Defines the input struct of a record, and a macro that adds its columns to the row of a query.
///
/// sqlx fills flat structs only. `domain::member_columns! { struct Row { id: Uuid, } }` defines a row with the columns of
/// the record beside its own, and `Row::take_input`.
macro_rules! columns {
    ($($definition:tt)*) => { define_columns! { ($) $($definition)* } };
}

/// `$d` is a dollar sign: a macro that is defined by a macro cannot be written otherwise.
macro_rules! define_columns {
    (($d:tt) $(#[$doc:meta])* pub struct $input:ident in $columns:ident {
        $($(#[$note:meta])* pub $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $input {
            $($(#[$note])* pub $field: $type,)*
        }

        #[macro_export]
        macro_rules! $columns {
            (struct $d row:ident { $d($d column:ident: $d kind:ty,)* }) => {
                struct $d row {
                    $d($d column: $d kind,)*
                    $($field: $type,)*
                }

                impl $d row {
                    /// Moves the columns of the record out of the row.
                    fn take_input(&mut self) -> $input {
                        $input { $($field: ::std::mem::take(&mut self.$field),)* }
                    }
                }
            };
        }
    };
}
