use crate::Error;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, and closing the church.
    Owner,
    /// Everything but what only an owner may do.
    Admin,
    /// Looks, and changes nothing.
    Member,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    pub(crate) fn from_column(column: &str) -> Self {
        match column {
            "owner" => Self::Owner,
            "admin" => Self::Admin,
            _ => Self::Member,
        }
    }
}

/// An admin who may look at this church, or at some of its branches.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub(crate) tenant_id: String,
    pub(crate) admin_id: Uuid,
    /// `None` for all branches.
    pub(crate) branches: Option<Vec<Uuid>>,
}

impl Viewer {
    pub(crate) fn may_see(&self, branch_id: Uuid) -> Result<(), Error> {
        match &self.branches {
            Some(branches) if !branches.contains(&branch_id) => Err(Error::NotFound),
            _ => Ok(()),
        }
    }
}

/// An admin who may also change what it sees.
#[derive(Clone, Debug)]
pub struct Editor(pub(crate) Viewer);

impl Editor {
    pub fn viewer(&self) -> &Viewer {
        &self.0
    }

    pub fn is_of_all_branches(&self) -> bool {
        self.0.branches.is_none()
    }

    /// Branches are of the whole church, and so are tags: changing them needs an editor of all branches.
    pub(crate) fn of_all_branches(&self) -> Result<(), Error> {
        self.is_of_all_branches().then_some(()).ok_or(Error::Forbidden)
    }
}
