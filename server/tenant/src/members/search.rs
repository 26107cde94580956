//! Chooses the members of a list: the only SQL whose `where` and `order by` are known at run time, from static
//! fragments.
//!
//! A new church has no statistics, so each query names the index it needs. It either collects at most [`MAX_HITS`]
//! members by the index of a filter and sorts those, or reads the index of the order and filters on the way. `offset 0`
//! keeps the planner from merging a subquery with the rest of its query.

use super::{PAGE, Sort, Total};
use crate::{Result, Viewer, text};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

/// A filter that finds more members than this is not sorted, but applied along the index of the order.
const MAX_HITS: i64 = 1_000;

/// Trigrams need so many letters.
const TRIGRAM: usize = 3;

/// Which members, and in what order.
#[derive(Clone, Debug)]
pub struct Selection {
    pub archived: bool,
    pub terms: Vec<String>,
    /// `None` for all branches.
    pub branches: Option<Vec<Uuid>>,
    pub status: Option<Status>,
    /// The name of a tag.
    pub tag: Option<String>,
    pub order: Order,
}

#[derive(Clone, Debug)]
pub enum Status {
    Id(Uuid),
    /// All statuses of one kind.
    Kind(String),
}

#[derive(Clone, Copy, Debug)]
pub enum Order {
    Sorted {
        by: Sort,
        descending: bool,
        page: u32,
    },
    /// By id, which is the order in which they were added, behind `after`.
    Cursor {
        after: Uuid,
        limit: i64,
    },
}

/// The index that a filter is looked up in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Index {
    Trigrams,
    FirstLetters,
    Tag,
    Branches,
    Status,
}

/// Returns the branches of a filter that the viewer may see; `None` for all.
pub fn visible_branches(viewer: &Viewer, branch: Option<Uuid>) -> Option<Vec<Uuid>> {
    match branch {
        Some(branch) => Some(viewer.may_see(branch).map(|()| branch).into_iter().collect()),
        None => viewer.branches.clone(),
    }
}

/// Returns the ids of one page in their order, and how many members there are on all pages.
pub async fn find(connection: &mut PgConnection, selection: &Selection) -> Result<(Vec<Uuid>, Total)> {
    if let Some(mut query) = selection.hits() {
        let query = query.build_query_as::<(Vec<Uuid>, i64)>();
        let (ids, count) = query.fetch_one(&mut *connection).await?;
        if count <= MAX_HITS {
            return Ok((ids, Total { count, is_exact: true }));
        }
    }
    let mut query = selection.walk();
    let (ids, count) = query.build_query_as::<(Vec<Uuid>, Option<i64>)>().fetch_one(connection).await?;
    Ok((ids, Total { count: count.unwrap_or(MAX_HITS), is_exact: count.is_some() }))
}

impl Selection {
    /// Returns the query that collects hits by the index of a filter, sorts them, and counts them. Its ids are empty when
    /// there are more than [`MAX_HITS`]; `None` without a filter.
    fn hits(&self) -> Option<QueryBuilder<Postgres>> {
        let index = self.index()?;
        let mut sql = QueryBuilder::new(
            "with hits as materialized (
                 select m.id, m.branch_id, m.status_id, m.sort_name, m.created_at from ",
        );
        self.push_source(&mut sql, index);
        self.push_filters(&mut sql, Some(index));
        sql.push(" limit ").push(MAX_HITS + 1);
        sql.push(") select array(select m.id from hits m ").push(match self.order {
            Order::Sorted { by: Sort::Branch, .. } => "join branches b on b.id = m.branch_id",
            Order::Sorted { by: Sort::Status, .. } => "join member_statuses s on s.id = m.status_id",
            _ => "",
        });
        sql.push(" where (select count(*) from hits) <= ").push(MAX_HITS);
        sql.push(" order by ").push(match self.order {
            Order::Sorted { by: Sort::Name, descending: false, .. } => "m.sort_name, m.id",
            Order::Sorted { by: Sort::Name, descending: true, .. } => "m.sort_name desc, m.id desc",
            Order::Sorted { by: Sort::Branch, descending: false, .. } => "lower(b.name), m.sort_name, m.id",
            Order::Sorted { by: Sort::Branch, descending: true, .. } => {
                "lower(b.name) desc, m.sort_name, m.id"
            }
            Order::Sorted { by: Sort::Status, descending: false, .. } => "s.sort_order, m.sort_name, m.id",
            Order::Sorted { by: Sort::Status, descending: true, .. } => {
                "s.sort_order desc, m.sort_name, m.id"
            }
            Order::Sorted { by: Sort::Added, descending: false, .. } => "m.created_at, m.id",
            Order::Sorted { by: Sort::Added, descending: true, .. } => "m.created_at desc, m.id desc",
            Order::Cursor { .. } => "m.id",
        });
        self.push_limit(&mut sql);
        sql.push("), (select count(*) from hits)");
        Some(sql)
    }

    /// Returns the query that reads the index of the order and filters on the way. Its total is null when it would have
    /// to be counted.
    fn walk(&self) -> QueryBuilder<Postgres> {
        let mut sql = QueryBuilder::new("select array(");
        match self.order {
            Order::Sorted { by: Sort::Name, descending: false, .. } => {
                self.push_walk(&mut sql, "m.sort_name, m.id");
            }
            Order::Sorted { by: Sort::Name, descending: true, .. } => {
                self.push_walk(&mut sql, "m.sort_name desc, m.id desc");
            }
            Order::Sorted { by: Sort::Added, descending: false, .. } => {
                self.push_walk(&mut sql, "m.created_at, m.id");
            }
            Order::Sorted { by: Sort::Added, descending: true, .. } => {
                self.push_walk(&mut sql, "m.created_at desc, m.id desc");
            }
            Order::Cursor { .. } => self.push_walk(&mut sql, "m.id"),
            Order::Sorted { by: Sort::Branch, descending, .. } => {
                let groups = "select id, lower(name) as place from branches";
                self.push_grouped_walk(&mut sql, groups, "branch_id", descending);
            }
            Order::Sorted { by: Sort::Status, descending, .. } => {
                let groups = "select id, sort_order as place from member_statuses";
                self.push_grouped_walk(&mut sql, groups, "status_id", descending);
            }
        }
        sql.push("), ");
        if self.terms.is_empty() && self.tag.is_none() {
            sql.push(
                "(select coalesce(sum(m.change), 0)::bigint from member_counts m where m.is_archived = ",
            );
            sql.push_bind(self.archived);
            self.push_branches(&mut sql);
            self.push_status(&mut sql);
            sql.push(")");
        } else {
            sql.push("null::bigint");
        }
        sql
    }

    fn push_walk(&self, sql: &mut QueryBuilder<Postgres>, order: &'static str) {
        sql.push("select m.id from members m where ").push(self.archived());
        self.push_after(sql);
        self.push_passing_filters(sql);
        sql.push(" order by ").push(order);
        self.push_limit(sql);
    }

    /// The members of each branch or status have an index that gives their order.
    fn push_grouped_walk(
        &self,
        sql: &mut QueryBuilder<Postgres>,
        groups: &'static str,
        column: &'static str,
        descending: bool,
    ) {
        sql.push("select m.id from (").push(groups).push(" offset 0) g cross join lateral (");
        sql.push("select m.id, m.sort_name from members m where m.").push(column);
        sql.push(" = g.id and ").push(self.archived());
        self.push_passing_filters(sql);
        sql.push(" order by m.sort_name, m.id limit ").push_bind(self.offset() + PAGE);
        sql.push(") m order by g.place").push(if descending { " desc" } else { "" });
        sql.push(", m.sort_name, m.id");
        self.push_limit(sql);
    }

    /// The planner takes what is inside `coalesce` for true of half of all rows, and never for a reason to read another
    /// index.
    fn push_passing_filters(&self, sql: &mut QueryBuilder<Postgres>) {
        if !self.is_everybody() {
            sql.push(" and coalesce(true");
            self.push_filters(sql, None);
            sql.push(", false)");
        }
    }

    /// Whether nobody is left out but archived members.
    pub fn is_everybody(&self) -> bool {
        self.index().is_none()
    }

    fn index(&self) -> Option<Index> {
        if self.terms.iter().any(|term| is_long(term)) {
            Some(Index::Trigrams)
        } else if !self.terms.is_empty() {
            Some(Index::FirstLetters)
        } else if self.tag.is_some() {
            Some(Index::Tag)
        } else if self.branches.is_some() {
            Some(Index::Branches)
        } else {
            self.status.is_some().then_some(Index::Status)
        }
    }

    /// Begins `from` with an index lookup, and `where` with its condition.
    fn push_source(&self, sql: &mut QueryBuilder<Postgres>, index: Index) {
        match index {
            // The condition is a parameter to the planner, who else takes a partial index for nearly empty.
            Index::Trigrams | Index::FirstLetters => {
                sql.push("members m where (m.archived_at is not null) = ").push_bind(self.archived);
                self.push_terms(sql);
            }
            Index::Tag => {
                sql.push("(select mt.member_id from member_tags mt where mt.tag_id = ");
                self.push_tag_id(sql);
                sql.push(" offset 0) t cross join lateral (select * from members where id = t.member_id offset 0) m where ");
                sql.push(self.archived());
            }
            Index::Branches => {
                sql.push("unnest(").push_bind(self.branches.clone());
                sql.push("::uuid[]) as b (id) cross join lateral (select * from members m where m.branch_id = b.id and ");
                sql.push(self.archived()).push(" order by m.sort_name, m.id offset 0) m where true");
            }
            // The order costs nothing, and keeps the planner at the index.
            Index::Status => {
                sql.push("(select m.id from member_statuses m where true");
                match &self.status {
                    Some(Status::Id(id)) => sql.push(" and m.id = ").push_bind(*id),
                    Some(Status::Kind(kind)) => sql.push(" and m.kind = ").push_bind(kind.clone()),
                    None => sql,
                };
                sql.push(
                    " offset 0) s cross join lateral (select * from members m where m.status_id = s.id and ",
                );
                sql.push(self.archived()).push(" order by m.sort_name, m.id offset 0) m where true");
            }
        }
        self.push_after(sql);
    }

    /// Adds the conditions that were not looked up in `index`.
    fn push_filters(&self, sql: &mut QueryBuilder<Postgres>, index: Option<Index>) {
        if !matches!(index, Some(Index::Trigrams | Index::FirstLetters)) {
            self.push_terms(sql);
        }
        if index != Some(Index::Branches) {
            self.push_branches(sql);
        }
        if index != Some(Index::Status) {
            self.push_status(sql);
        }
        if index != Some(Index::Tag) && self.tag.is_some() {
            sql.push(" and exists (select from member_tags mt where mt.member_id = m.id and mt.tag_id = ");
            self.push_tag_id(sql);
            sql.push(" offset 0)");
        }
    }

    fn push_terms(&self, sql: &mut QueryBuilder<Postgres>) {
        let (long, short): (Vec<&String>, Vec<_>) = self.terms.iter().partition(|term| is_long(term));
        for term in &long {
            sql.push(" and m.search_text like ").push_bind(text::pattern(term));
        }
        if !long.is_empty() {
            // Not by `like`, which would have the index read whole for a term that it cannot find.
            for term in short {
                sql.push(" and strpos(m.search_text, ").push_bind(term.clone()).push(") > 0");
            }
            return;
        }
        let Some((first, others)) = short.split_first() else { return };
        for (column, joined) in [("left(m.sort_name, 2)", " and ("), ("left(m.search_text, 2)", " or ")] {
            sql.push(joined).push(column).push(" collate \"C\" >= ").push_bind((*first).clone());
            sql.push(" and ").push(column).push(" collate \"C\" < ").push_bind(format!("{first}\u{10FFFF}"));
        }
        sql.push(")");
        for term in others {
            sql.push(" and strpos(' ' || m.sort_name, ").push_bind(format!(" {term}")).push(") > 0");
        }
    }

    fn push_branches(&self, sql: &mut QueryBuilder<Postgres>) {
        if let Some(branches) = &self.branches {
            sql.push(" and m.branch_id = any (").push_bind(branches.clone()).push(")");
        }
    }

    fn push_status(&self, sql: &mut QueryBuilder<Postgres>) {
        match &self.status {
            Some(Status::Id(id)) => {
                sql.push(" and m.status_id = ").push_bind(*id);
            }
            Some(Status::Kind(kind)) => {
                sql.push(" and m.status_id = any (array(select id from member_statuses where kind = ");
                sql.push_bind(kind.clone()).push("))");
            }
            None => {}
        }
    }

    fn push_tag_id(&self, sql: &mut QueryBuilder<Postgres>) {
        let tag = self.tag.clone();
        sql.push("(select id from tags where lower(name) = lower(").push_bind(tag).push("))");
    }

    fn push_after(&self, sql: &mut QueryBuilder<Postgres>) {
        if let Order::Cursor { after, .. } = self.order {
            sql.push(" and m.id > ").push_bind(after);
        }
    }

    fn push_limit(&self, sql: &mut QueryBuilder<Postgres>) {
        match self.order {
            // A plan of its own: for an unknown offset the planner expects to read a tenth of the table.
            Order::Sorted { page: 0, .. } => {
                sql.push(" limit ").push(PAGE);
            }
            Order::Sorted { .. } => {
                sql.push(" limit ").push(PAGE).push(" offset ").push_bind(self.offset());
            }
            Order::Cursor { limit, .. } => {
                sql.push(" limit ").push_bind(limit);
            }
        }
    }

    fn offset(&self) -> i64 {
        match self.order {
            Order::Sorted { page, .. } => i64::from(page) * PAGE,
            Order::Cursor { .. } => 0,
        }
    }

    fn archived(&self) -> &'static str {
        if self.archived { "m.archived_at is not null" } else { "m.archived_at is null" }
    }
}

fn is_long(term: &str) -> bool {
    term.chars().count() >= TRIGRAM
}

/// Returns every shape of these queries, so that a test can explain them.
pub fn shapes() -> Vec<String> {
    let sorts = [Sort::Name, Sort::Branch, Sort::Status, Sort::Added]
        .map(|by| [false, true].map(|descending| Order::Sorted { by, descending, page: 0 }));
    let cursor = Order::Cursor { after: Uuid::nil(), limit: PAGE };
    let orders: Vec<_> = sorts.into_iter().flatten().chain([cursor]).collect();
    let searches: [&[&str]; 6] =
        [&[], &["naomi"], &["naomi", "achieng"], &["naomi", "a"], &["n"], &["na", "a"]];
    let statuses = [None, Some(Status::Id(Uuid::nil())), Some(Status::Kind("member".into()))];
    let mut shapes = Vec::new();
    for archived in [false, true] {
        for terms in searches {
            for branches in [None, Some(Vec::new())] {
                for status in &statuses {
                    for tag in [None, Some("choir".to_owned())] {
                        shapes.extend(orders.iter().flat_map(|order| {
                            let selection = Selection {
                                archived,
                                terms: terms.iter().copied().map(str::to_owned).collect(),
                                branches: branches.clone(),
                                status: status.clone(),
                                tag: tag.clone(),
                                order: *order,
                            };
                            selection.hits().into_iter().chain([selection.walk()]).collect::<Vec<_>>()
                        }));
                    }
                }
            }
        }
    }
    shapes.into_iter().map(QueryBuilder::into_string).collect()
}
