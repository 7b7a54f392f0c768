-- Extends the lease of a node, and ends those that are over. KEYS: 1 the leases, 2 what the nodes
-- say of themselves, 3 the run id of Redis, 4 when its grace ends.
-- ARGV: 1 the run id of this Redis, 2 the node, 3 what it says of itself, 4 for how many
-- milliseconds its lease holds ('': it ends now).
-- Answers whether there was a lease of the node, whether those that are missing may still come,
-- and the nodes that have one.
--
-- The clock of Redis alone decides. While Redis was down no node could extend its lease, so another
-- process of it, or one that has lost its keys, ends none for the length of one.
if ARGV[4] == '' then
    redis.call('ZREM', KEYS[1], ARGV[2])
    redis.call('HDEL', KEYS[2], ARGV[2])
    return {'1', '0'}
end
local function digits(number)
    return string.format('%.0f', number)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local till = digits(now + tonumber(ARGV[4]))
local before = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2])) or 0
redis.call('ZADD', KEYS[1], till, ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
    redis.call('SET', KEYS[3], ARGV[1])
    redis.call('SET', KEYS[4], till)
end
local has_grace = now < (tonumber(redis.call('GET', KEYS[4])) or 0)
if not has_grace then
    for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now))) do
        redis.call('ZREM', KEYS[1], node)
        redis.call('HDEL', KEYS[2], node)
    end
end
-- One that was over may not have been ended here, and what the node had is removed.
local was_held = before > now or has_grace and before > 0
local answer = redis.call('ZRANGE', KEYS[1], 0, -1)
table.insert(answer, 1, has_grace and '1' or '0')
table.insert(answer, 1, was_held and '1' or '0')
return answer
