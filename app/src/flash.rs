//! Messages shown once, on the page after an action. They travel in a cookie, by name.

use serde::{Deserialize, Serialize};

macro_rules! flashes {
    ($($flash:ident $name:literal $message:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Flash {
            $($flash,)*
        }

        impl Flash {
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$flash => $name,)*
                }
            }

            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$flash => $message,)*
                }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$flash),)*
                    _ => None,
                }
            }
        }
    };
}

flashes! {
    MemberAdded "member-added" "Member added",
    MemberSaved "member-saved" "Changes saved",
    MemberArchived "member-archived" "Member archived. Nothing was deleted.",
    MemberRestored "member-restored" "Member restored",
    BranchAdded "branch-added" "Branch added",
    BranchSaved "branch-saved" "Changes saved",
    BranchArchived "branch-archived" "Branch archived. Nothing was deleted.",
    BranchRestored "branch-restored" "Branch restored",
    PictureSaved "picture-saved" "Photo saved",
    PictureRemoved "picture-removed" "Photo removed",
    TagSaved "tag-saved" "Changes saved",
    TagDeleted "tag-deleted" "Tag deleted",
    TokenRevoked "token-revoked" "Access token revoked",
    TokenShown "token-shown" "This token was already created, and was shown once. If you have no copy, revoke it and create another.",
    SignedOut "signed-out" "You are signed out",
}
