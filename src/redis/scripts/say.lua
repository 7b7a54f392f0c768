-- Numbers an entry, once for a key. KEYS: 3 the changes of entries, 4 the keys of the session, 5 what
-- says that the link of this call is too late.
-- ARGV: 5 the entry, 6 the session and its key, 7 for how many milliseconds keys are known, 8 how many
-- entries are kept, 9 until when it may be numbered, in milliseconds by this Redis: later, its server
-- may have sent it again. Where it changes another or comes with more: 10 the entry that it changes ('':
-- none), 11 e or d: whether it edits or deletes, 12 the new text.
-- Where it makes a change of the registry or depends on its changes besides: KEYS 6 the hash of the log
-- of changes, 7 its stream, 8 the facts; ARGV 13 the channel of changes, 14 and on the change.
--
-- The order of the writes: the key, the change, the stream, the rest. Where Redis lost the end of them,
-- a key without its entry is found by the stream, and an entry without the hash by the number.

-- The newest 64 keys of the session stay, and those of the last minute, of which there are 16,384 at
-- most: so long after it was said an entry may come again from a node whose link was lost, while its
-- client goes on at another one.
local function trim_keys(now)
    local all, sorted, old = redis.call('HGETALL', KEYS[4]), {}, {}
    for at = 1, #all, 2 do
        local seq, when = string.match(all[at + 1], '^(%d+) (%d+)')
        sorted[#sorted + 1] = {tonumber(when), tonumber(seq), all[at]}
        if tonumber(when) < now - 60000 then
            old[#old + 1] = all[at]
        end
    end
    local rest = #sorted - #old
    if rest >= 64 and rest <= 16384 then
        for _, name in ipairs(old) do
            redis.call('HDEL', KEYS[4], name)
        end
        return
    end
    table.sort(sorted, function(a, b)
        if a[1] ~= b[1] then return a[1] > b[1] end
        if a[2] ~= b[2] then return a[2] > b[2] end
        return a[3] > b[3]
    end)
    for at = 65, #sorted do
        if at > 16384 or sorted[at][1] < now - 60000 then
            redis.call('HDEL', KEYS[4], sorted[at][3])
        end
    end
end

-- A later change takes the place of an earlier one, but what was deleted stays deleted.
local function change(seq)
    local before = redis.call('HGET', KEYS[3], ARGV[10])
    if not before or string.sub(before, 1, 1) == 'e' then
        redis.call('HSET', KEYS[3], ARGV[10], ARGV[11] .. digits(seq) .. ' ' .. ARGV[12])
    end
    if seq % 256 == 0 then
        -- Changes by entries that are not kept any more show nowhere.
        local first, all = oldest(room, seq), redis.call('HGETALL', KEYS[3])
        for at = 1, #all, 2 do
            if tonumber(string.match(all[at + 1], '^.(%d+)')) < first then
                redis.call('HDEL', KEYS[3], all[at])
            end
        end
    end
end

local head, at, run, current = read(room)
if run ~= ARGV[1] then
    head, current = begin(room, head, at)
end
-- A session has its keys of all rooms in one hash.
local name = string.sub(KEYS[1], 4, -4)
local key = name .. '\0' .. string.match(ARGV[6], '^%x+:(.*)$')
local known = redis.call('HGET', KEYS[4], key)
if known then
    local seq, when = string.match(known, '^(%d+) (%d+)')
    if is_there(room, tonumber(seq), head, ARGV[6]) then
        return {current, seq, when, 1}
    end
end
local seq = head + 1
if seq > 4294967295 then
    return redis.error_reply('ROOMFULL the room has no more numbers')
end
if is_late(KEYS[5], ARGV[9]) then
    return redis.error_reply('LATE the message came too late')
end
local registry, changes
if #KEYS > 5 then
    registry = {meta = KEYS[6], stream = KEYS[7], channel = ARGV[13]}
    changes = {read(registry)}
    if changes[3] ~= ARGV[1] then
        changes[1], changes[4] = begin(registry, changes[1], changes[2])
    end
    if is_stale(registry, changes[4], 14) then
        return redis.error_reply('STALE ' .. changes[4] .. ' ' .. digits(changes[1]))
    end
end
at = time_after(at)
local entry = digits(at) .. ' ' .. ARGV[5]
local fields = {'d', entry, 'k', ARGV[6]}
redis.call('HSET', KEYS[4], key, digits(seq) .. ' ' .. digits(at))
redis.call('PEXPIRE', KEYS[4], ARGV[7])
-- Not for each of them: all are read, and the more rarely the more there are.
local count = redis.call('HLEN', KEYS[4])
if count > 96 and count % (count > 2048 and 1024 or 64) == 33 then
    trim_keys(at)
end
if #ARGV > 17 then
    make(registry, KEYS[8], 14, changes[1], changes[2], changes[4], ARGV[8])
end
local amends = ARGV[10] and ARGV[10] ~= ''
if amends then
    fields[5], fields[6] = 'a', ARGV[10]
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], id(seq, current), unpack(fields))
redis.call('HSET', KEYS[1], 'h', digits(seq), 't', digits(at))
if amends then
    change(seq)
end
redis.call('PUBLISH', ARGV[4], 'E' .. current .. ' ' .. digits(seq) .. ' ' .. entry)
-- A conversation of two: servers where one of them is connected may not have it open.
if string.byte(name) == 64 then
    redis.call('PUBLISH', 'p:direct', digits(seq) .. ' ' .. name)
end
return {current, digits(seq), digits(at), 0}
