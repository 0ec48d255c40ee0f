package lease

import "github.com/redis/go-redis/v9"

// What renew answers.
const (
	held  = "held"
	fresh = "new"
	taken = "taken"
)

// What must happen in one step runs in Redis. KEYS are always keys.of a node;
// the first argument is who asks.
var (
	// renew answers held, fresh if there was no lease any more, or taken.
	renew = redis.NewScript(`
		if redis.call('EXISTS', KEYS[3]) == 1 then return '` + taken + `' end
		local who = redis.call('GET', KEYS[1])
		if who and who ~= ARGV[1] then return '` + taken + `' end
		redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
		redis.call('EXPIRE', KEYS[2], ARGV[3])
		return who and '` + held + `' or '` + fresh + `'`)

	// write removes the first so many connections and sets the records of the
	// others. It answers 0, and does nothing, if the lease is not ours.
	write = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		local first = tonumber(ARGV[2]) + 3
		for i = 3, first - 1 do redis.call('HDEL', KEYS[2], ARGV[i]) end
		for i = first, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
		return 1`)

	// claim takes a lease that has run out. It answers how many records there
	// are, or -1 if somebody has it. Without a record there is nothing to take.
	claim = redis.NewScript(`
		if redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
		local records = redis.call('HLEN', KEYS[2])
		if records > 0 then
			redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
			redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[3])
		end
		return records`)

	// hold renews a lease that was claimed. It answers 0 if it is ours no more.
	hold = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

	// release gives a lease up, and answers how many records are left for
	// somebody else, or -1 if it was not ours.
	release = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
		redis.call('DEL', KEYS[1])
		return redis.call('HLEN', KEYS[2])`)
)
