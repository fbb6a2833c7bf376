-- Comments on what analysts read: labels, days, logs.

comment on column iclock.reconciliation.note is 'How it stands, in words';
comment on function iclock.agreed_until(bigint, timestamp) is 'Until when all punches of a device since a time have been compared without a hole';
