-- The books of one or several tenants. Times are seconds of Unix time; local_start is what the caller was promised.

create table appointments (
    tenant      text    not null,
    id          text    not null,
    service     text    not null,
    local_start text    not null,
    starts_at   integer not null,
    ends_at     integer not null,
    bay         text,
    technician  text    not null,
    name        text    not null,
    name_folded text    not null,
    plate       text    not null,
    phone       text,
    notes       text,
    status      text    not null check (status in ('booked', 'cancelled')),
    asked_at    integer not null,
    changed_at  integer not null,
    primary key (tenant, id),
    check (starts_at < ends_at)
) strict, without rowid;

create index appointments_by_end on appointments (tenant, ends_at);

-- One row for each unit of time of each bay, technician and car that is taken: the primary key is what makes a double
-- booking impossible, whatever runs at the same time.
create table occupied (
    tenant      text    not null,
    resource    text    not null,
    unit        integer not null,
    appointment text    not null,
    primary key (tenant, resource, unit),
    foreign key (tenant, appointment) references appointments (tenant, id)
) strict, without rowid;

create index occupied_by_unit on occupied (tenant, unit);
create index occupied_by_appointment on occupied (tenant, appointment);

-- What a write's key made or changed, so that the same request finds it again.
create table keys (
    tenant      text    not null,
    key         text    not null,
    appointment text    not null,
    primary key (tenant, key),
    foreign key (tenant, appointment) references appointments (tenant, id)
) strict, without rowid;

-- What is to be sent, written in the same transaction as what it is about.
create table outbox (
    tenant      text    not null,
    number      integer not null,
    kind        text    not null check (kind in ('booked', 'moved', 'cancelled')),
    appointment text    not null,
    recipient   text,
    body        text    not null,
    written_at  integer not null,
    sent_at     integer,
    primary key (tenant, number),
    foreign key (tenant, appointment) references appointments (tenant, id)
) strict, without rowid;

create table messages (
    tenant  text    not null,
    number  integer not null,
    key     text    not null,
    left_at integer not null,
    name    text,
    phone   text,
    body    text    not null,
    primary key (tenant, number),
    unique (tenant, key)
) strict, without rowid;

create table calls (
    tenant     text    not null,
    id         text    not null,
    caller     text,
    started_at integer not null,
    ended_at   integer,
    ending     text,
    report     text,
    primary key (tenant, id)
) strict, without rowid;

create index calls_by_start on calls (tenant, started_at);
