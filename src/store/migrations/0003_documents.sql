-- What customers stored and created over REST, as it was written: assistants, and calls with what remains of them. Times are
-- milliseconds, unlike those of the books, because customers are shown them so. The bodies are long: with rowids, so that
-- the tree of the keys stays small.
create table documents (
    tenant     text    not null,
    kind       text    not null check (kind in ('assistant', 'call')),
    id         text    not null,
    body       text    not null,
    created_ms integer not null,
    updated_ms integer not null,
    primary key (tenant, kind, id)
) strict;

create index documents_by_creation on documents (tenant, kind, created_ms);
