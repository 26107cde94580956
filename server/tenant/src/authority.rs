use crate::Error;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All permissions, including closing the church.
    Owner,
    /// All permissions except those reserved for owners.
    Admin,
    /// Read-only.
    Viewer,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    pub(crate) fn from_column(column: &str) -> Self {
        match column {
            "owner" => Self::Owner,
            "admin" => Self::Admin,
            // Also the name of older releases, "member", and unknown roles.
            _ => Self::Viewer,
        }
    }
}

/// Authority to read a tenant, or some of its branches.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub(crate) tenant_id: String,
    pub(crate) admin_id: Uuid,
    /// `None` for all branches.
    pub(crate) branches: Option<Vec<Uuid>>,
}

impl Viewer {
    pub(crate) fn check_branch(&self, branch_id: Uuid) -> Result<(), Error> {
        match &self.branches {
            Some(branches) if !branches.contains(&branch_id) => Err(Error::NotFound),
            _ => Ok(()),
        }
    }
}

/// Authority to read and write.
#[derive(Clone, Debug)]
pub struct Editor(pub(crate) Viewer);

impl Editor {
    pub fn viewer(&self) -> &Viewer {
        &self.0
    }

    pub fn covers_all_branches(&self) -> bool {
        self.0.branches.is_none()
    }

    /// Requires an editor of all branches, as for branches and tags themselves.
    pub(crate) fn require_all_branches(&self) -> Result<(), Error> {
        self.covers_all_branches().then_some(()).ok_or(Error::Forbidden)
    }
}
