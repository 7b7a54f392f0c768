-- The current epoch and the newest number of rooms, whose hashes are the KEYS. Writes nothing.
local tops = {}
for at, key in ipairs(KEYS) do
    local got = redis.call('HMGET', key, 'c', 'h')
    tops[at] = (got[1] or '') .. ' ' .. (got[2] or '0')
end
return tops
