-- Reports that servers of customers are owed: written before the first attempt, emptied when it is done with. An empty row
-- stays for a while, so that the same report is not owed again.
create table reports (
    tenant     text    not null,
    call       text    not null,
    server     text    not null,
    body       text    not null,
    written_at integer not null,
    next_at    integer not null,
    attempts   integer not null,
    done_at    integer,
    primary key (tenant, call)
) strict, without rowid;

create index reports_by_next on reports (tenant, next_at) where done_at is null;
