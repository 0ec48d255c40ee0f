# A middleware that answers every request with ?maintenance itself.
class Maintenance
  def initialize(app)
    @app = app
  end

  def call(env)
    return @app.call(env) unless env["QUERY_STRING"] == "maintenance"
    [200, { "content-type" => "text/plain", "x-maintenance" => "until noon" }, ["back soon"]]
  end
end
