-- Makes a change of the registry that goes with no entry, once for a key. KEYS: 1 the hash of the log
-- of changes, 2 its stream, 3 the facts, 4 the keys of the node, 5 what says that the link of this call
-- is too late. ARGV: 5 for how many milliseconds keys are known, 6 how many changes are kept, 7 until
-- when it may be made, 8 and on the change.
local head, at, run, current = read(room)
if run ~= ARGV[1] then
    head, current = begin(room, head, at)
end
local key = ARGV[14]
local known = redis.call('HGET', KEYS[4], key)
if known and is_there(room, tonumber(known), head, key) then
    return {current, known, '0', 1}
end
if is_late(KEYS[5], ARGV[7]) then
    return redis.error_reply('LATE the change came too late')
end
if is_stale(room, current, 8) then
    return redis.error_reply('STALE ' .. current .. ' ' .. digits(head))
end
redis.call('HSET', KEYS[4], key, digits(head + 1))
redis.call('PEXPIRE', KEYS[4], ARGV[5])
local number, time = make(room, KEYS[3], 8, head, at, current, ARGV[6])
return {current, number, time, 0}
