-- Which version of the folding `members.sort_name` and `members.search_text` were written by. The program folds them
-- again when it finds an older one.
create table text_folding (version integer primary key);
insert into text_folding values (0);

-- From now on texts are NFC before they are compared or stored. What older releases have stored becomes so too, where
-- it then still fits its column.
create function pg_temp.nfc(value text, longest integer) returns text language sql immutable as $$
    select case when char_length(normalize(value)) <= longest then normalize(value) else value end
$$;

update members
   set prefix = pg_temp.nfc(prefix, 20), first_name = pg_temp.nfc(first_name, 80),
       middle_name = pg_temp.nfc(middle_name, 80), last_name = pg_temp.nfc(last_name, 80),
       suffix = pg_temp.nfc(suffix, 20), preferred_name = pg_temp.nfc(preferred_name, 80),
       email = pg_temp.nfc(email, 254), notes = pg_temp.nfc(notes, 10000)
 where concat_ws(' ', prefix, first_name, middle_name, last_name, suffix, preferred_name, email, notes)
       is not nfc normalized;

update branches
   set email = pg_temp.nfc(email, 254), website = pg_temp.nfc(website, 300), address1 = pg_temp.nfc(address1, 200),
       address2 = pg_temp.nfc(address2, 200), city = pg_temp.nfc(city, 120), region = pg_temp.nfc(region, 120),
       postal_code = pg_temp.nfc(postal_code, 20), service_times = pg_temp.nfc(service_times, 1000)
 where concat_ws(' ', email, website, address1, address2, city, region, postal_code, service_times)
       is not nfc normalized;

-- Two branches may have the same name by now; both then keep theirs.
update branches b
   set name = pg_temp.nfc(name, 120)
 where name is not nfc normalized
   and not exists (select from branches o where o.id <> b.id and lower(normalize(o.name)) = lower(normalize(b.name)));

update branches b
   set short_code = pg_temp.nfc(short_code, 12)
 where short_code is not nfc normalized
   and not exists (select from branches o
                    where o.id <> b.id and lower(normalize(o.short_code)) = lower(normalize(b.short_code)));

update admins
   set first_name = pg_temp.nfc(first_name, 80), last_name = pg_temp.nfc(last_name, 80)
 where concat_ws(' ', first_name, last_name) is not nfc normalized;

update personal_tokens set name = pg_temp.nfc(name, 80) where name is not nfc normalized;

-- Two tags that look the same become the older one.
create temporary table same_tags on commit drop as
select t.id, t.kept
  from (select id, first_value(id) over (partition by lower(normalize(name)) order by created_at, id) as kept
          from tags) t
 where t.id <> t.kept;

insert into member_tags (member_id, tag_id, added_by, added_at)
select mt.member_id, s.kept, mt.added_by, mt.added_at
  from member_tags mt
  join same_tags s on s.id = mt.tag_id
on conflict (member_id, tag_id) do nothing;

delete from tags where id in (select id from same_tags);

update tags set name = pg_temp.nfc(name, 50) where name is not nfc normalized;

drop table same_tags;
drop function pg_temp.nfc(text, integer);
