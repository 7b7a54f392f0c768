-- Entries of a room in order, with what changed them since. KEYS: 3 the changes of entries.
-- ARGV: 1 the first number, 2 the last, 3 how many entries at most, 4 after how many bytes the page
-- ends. Writes nothing. Answers the current epoch, the newest number, the oldest that is kept, and
-- three elements an entry: its number, the entry, and the change of it, or of what it changes.
--
-- A Redis that has loaded the half of a transaction may have two entries of one number: the earlier
-- one is of a lost epoch.
local got = redis.call('HMGET', KEYS[1], 'h', 'c')
local head = tonumber(got[1]) or 0
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local oldest = first and tonumber(string.match(first[1], '^%d+')) or head + 1
local page = {got[2] or '', string.format('%.0f', head), string.format('%.0f', oldest)}
local bytes = 0
local has_changes = redis.call('EXISTS', KEYS[3]) == 1
local entries = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
if #entries == tonumber(ARGV[3]) then
    -- The other one of the last may be behind it.
    local last = string.match(entries[#entries][1], '^%d+')
    entries[#entries] = redis.call('XREVRANGE', KEYS[2], last, last, 'COUNT', 1)[1]
end
for _, entry in ipairs(entries) do
    local number = string.match(entry[1], '^%d+')
    if page[#page - 2] == number and #page > 3 then
        page[#page], page[#page - 1], page[#page - 2] = nil, nil, nil
    end
    local fields, text, changes = entry[2], '', number
    for at = 1, #fields, 2 do
        if fields[at] == 'd' then
            text = fields[at + 1]
        elseif fields[at] == 'a' then
            changes = fields[at + 1]
        end
    end
    bytes = bytes + #text
    if bytes > tonumber(ARGV[4]) and #page > 3 then
        break
    end
    page[#page + 1] = number
    page[#page + 1] = text
    page[#page + 1] = has_changes and redis.call('HGET', KEYS[3], changes) or ''
end
return page
