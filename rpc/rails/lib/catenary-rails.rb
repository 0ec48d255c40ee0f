require "catenary/rails"
