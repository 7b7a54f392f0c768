-- What has changed of the members that one server has in a room. KEYS: 1 the members of the server,
-- 2 the servers with members. ARGV: 1 the server, 2 the channel, 3 what is published, 4 whether all
-- members follow ('1') and those before count no more, 5 the run id of this Redis, 6 how many have
-- left, then their nicks, then nicks that came, each with a letter.
if ARGV[4] == '1' then
    redis.call('DEL', KEYS[1])
end
local first = 7 + tonumber(ARGV[6])
if first > 7 then
    redis.call('HDEL', KEYS[1], unpack(ARGV, 7, first - 1))
end
if #ARGV >= first then
    redis.call('HSET', KEYS[1], unpack(ARGV, first))
end
if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
else
    redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
